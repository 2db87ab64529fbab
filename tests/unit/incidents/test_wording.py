"""What people read: true in every state, and never a promise that the state machine does not keep."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.transition import Severity
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.text.what_next import what_next
from sentryml_lifecycle.text.wording import ago, duration, headline, moment
from tests.unit.incidents.builders import MONDAY, Story, at, quick


def reads(story: Story) -> str:
    incident = story.snapshot.incident
    assert incident is not None
    return " ".join(what_next(story.snapshot, incident, at(story.minute)))


def test_the_headline_says_what_how_bad_and_how_long() -> None:
    story = Story()
    story.sees("critical")
    assert story.snapshot.incident is not None
    assert headline(story.snapshot, story.snapshot.incident, at(91)) == (
        "flights-delay has been drifting critically for 1 h 30 min; latest PSI 0.50."
    )


def test_a_live_incident_that_looks_clean_says_so() -> None:
    story = Story(settings=quick(confirm_resolve=3))
    story.sees("critical", "ok")
    assert story.snapshot.incident is not None
    assert headline(story.snapshot, story.snapshot.incident, at(5)) == (
        "flights-delay has drifted for 4 min, up to a PSI of 0.50; it was clean at the latest evaluation."
    )


def test_a_headline_of_the_past_keeps_the_peak() -> None:
    story = Story()
    story.sees("critical", "ok")
    assert story.snapshot.incident is not None
    assert headline(story.snapshot, story.snapshot.incident, at(500)) == (
        "flights-delay drifted for 1 min, critically at its worst, up to a PSI of 0.50; the incident is resolved."
    )


def test_a_headline_of_the_past_remembers_the_worst_also_when_it_had_deescalated() -> None:
    story = Story()
    story.sees("critical", "warn", "ok")
    assert story.snapshot.incident is not None
    assert story.snapshot.incident.severity is Severity.WARN
    assert story.snapshot.incident.shown_severity is Severity.CRITICAL
    assert "critically at its worst" in headline(story.snapshot, story.snapshot.incident, at(500))


def test_what_was_closed_while_it_drifted_is_not_said_to_be_over() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    assert story.snapshot.incident is not None
    assert headline(story.snapshot, story.snapshot.incident, at(500)) == (
        "flights-delay had drifted for 2 min, noticeably at its worst, up to a PSI of 0.15, when the incident was "
        "closed."
    )


def test_a_headline_while_evaluation_is_paused_says_that_nobody_can_tell() -> None:
    story = Story()
    story.sees("critical", "insufficient")
    assert story.snapshot.incident is not None
    assert headline(story.snapshot, story.snapshot.incident, at(62)) == (
        "flights-delay was drifting critically (PSI 0.50); for 1 h there has been too little data to tell whether it "
        "still does."
    )


def test_an_open_incident_says_when_it_resolves_and_how_far_it_is() -> None:
    story = Story(settings=quick(confirm_resolve=3, resolve_after_seconds=None))
    story.sees("warn", "ok", "ok")
    text = reads(story)
    assert "after 3 clean evaluations in a row" in text
    assert "over at least 2 h 24 min." in text
    assert "So far: 2 clean evaluations in a row, over 1 min; 1 more to go." in text
    assert "alerts again, acknowledged or not" in text
    story.sees("ok")
    assert "So far: 3 clean evaluations in a row, over 2 min; another 2 h 22 min to go." in reads(story)


def test_acknowledged_says_who_has_seen_it_and_that_alerts_are_not_muted() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    assert "Acknowledged by Ana. That does not mute alerts." in reads(story)


def test_paused_says_since_when() -> None:
    story = Story()
    story.sees("warn", "insufficient")
    assert "Evaluation paused since 23 Nov 2026, 09:17:00 UTC: not enough data. The incident does not change" in reads(
        story
    )


def test_resolved_says_until_when_it_reopens_and_when_it_closes() -> None:
    story = Story()
    story.sees("warn", "ok")
    assert reads(story) == (
        "If drift comes back before 23 Nov 2026, 10:17:00 UTC, this incident reopens; later, a new one is opened. "
        "It closes by itself on 30 Nov 2026, 09:17:00 UTC."
    )
    story.minute += 61
    assert "a new incident is opened and linked to this one" in reads(story)


@pytest.mark.parametrize(("severity", "worse"), [("warn", True), ("critical", False)])
def test_the_latch_says_when_it_will_speak_again(severity: str, worse: bool) -> None:
    story = Story()
    story.sees(severity)
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    text = reads(story)
    assert "still drifts after 24 Nov 2026, 09:18:00 UTC" in text
    assert ("when it gets critical" in text) is worse


def test_a_model_whose_monitor_is_off_is_not_said_to_alert() -> None:
    story = Story()
    story.sees("warn")
    story.changes_monitor(enabled=False)
    assert reads(story) == "The monitor is off: nothing is evaluated until it is switched on again."


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(hours=2, minutes=24), "2 h 24 min"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
        (timedelta(days=1, minutes=5), "1 d"),
        (timedelta(hours=20, seconds=13), "20 h"),
    ],
)
def test_durations_have_one_or_two_units(length: timedelta, text: str) -> None:
    assert duration(length) == text


def test_times_are_exact_and_relative_ones_rough() -> None:
    assert moment(MONDAY) == "23 Nov 2026, 09:15:00 UTC"
    assert ago(at(3), MONDAY) == "3 min ago"
    assert ago(MONDAY, at(120)) == "in 2 h"
    assert ago(MONDAY, MONDAY) == "0 s ago"
