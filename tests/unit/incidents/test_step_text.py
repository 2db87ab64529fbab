"""The text of each step: true, one line, and made for every kind and cause that the state machine can decide."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.transition import Actor, ActorType, Cause, TransitionKind, TransitionText
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.state_machine import ModelDeleted, decide
from sentryml_lifecycle.text.step_text import AGAINST, CHANGED, CLOSED_AS, CLOSED_BY, HEADLINES, PAUSED_BECAUSE, STEPS
from sentryml_lifecycle.worsening import Comparison
from tests.unit.incidents.builders import ANA, BEN, Story, at, quick


def opened(*grades: str, **settings: object) -> Story:
    story = Story(settings=quick(**settings))
    story.sees(*grades or ("warn",))
    return story


def test_every_kind_has_a_name_and_a_headline() -> None:
    assert set(STEPS) == set(HEADLINES) == set(TransitionKind)


def test_every_cause_of_a_pause_a_change_and_a_closing_has_words() -> None:
    assert set(PAUSED_BECAUSE) == {Cause.WARMING_UP, Cause.TOO_FEW_SAMPLES, Cause.NO_DATA, Cause.NOT_SENT}
    monitor = {Cause.THRESHOLDS_CHANGED, Cause.BASELINE_CHANGED, Cause.TIMES_CHANGED}
    assert set(CHANGED) == monitor | {Cause.REFERENCE_CHANGED}
    assert set(CLOSED_AS) == set(CLOSED_BY)
    assert set(AGAINST) == set(Comparison)


def test_an_opening_says_severity_model_cause_and_what_comes_next() -> None:
    assert opened("critical", resolve_after_seconds=None, confirm_resolve=3).text == TransitionText(
        title="CRITICAL drift · flights-delay",
        headline=(
            "The predictions of flights-delay no longer look like the baseline: PSI is above the critical threshold."
        ),
        step="Opened as critical",
        next=(
            "It resolves by itself after 3 clean evaluations in a row (PSI below 80 % of the warning threshold) over "
            "at least 2 h 24 min.",
            "If it reaches another signal or doubles its PSI, it alerts again, acknowledged or not.",
            "Acknowledging says that you have seen it. It does not mute alerts.",
        ),
    )


def test_an_escalation_says_who_had_acknowledged_less() -> None:
    story = opened("warn")
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.ACKNOWLEDGE, BEN)
    story.sees("critical")
    text = story.text
    assert (text.title, text.step) == ("CRITICAL drift, escalated · flights-delay", "Escalated to critical")
    assert text.headline.endswith("Ana, Ben had acknowledged the warning; nobody has acknowledged it as critical.")


def test_a_deescalation_is_called_so() -> None:
    text = opened("critical", "warn").text
    assert text.title == "De-escalated to warning · flights-delay"
    assert text.step == "De-escalated to warning"
    again = "If it becomes critical, reaches another signal or doubles its PSI, it alerts again, acknowledged or not."
    assert again in text.next


def test_acknowledged_never_sounds_like_muted() -> None:
    story = opened()
    for actor in (ANA, BEN):
        story.asks(Action.ACKNOWLEDGE, actor)
        text = story.text
        assert text.headline.endswith("alerts are not muted.")
        assert text.next[-1].endswith("That does not mute alerts.")
    assert text.headline == "Ben acknowledged the incident too; alerts are not muted."


def test_a_review_afterwards_is_no_acknowledgement_of_drift() -> None:
    story = opened("warn", "ok")
    story.asks(Action.ACKNOWLEDGE)
    assert story.text.headline == "Ana reviewed the incident after it had resolved."


def test_data_that_returned_to_normal_are_said_to_have() -> None:
    text = opened("warn", "ok").text
    assert text.title == "Resolved · flights-delay"
    assert text.headline == "The predictions of flights-delay look like the baseline again."
    assert text.next == (
        "If drift comes back before 23 Nov 2026, 10:17:00 UTC, this incident reopens; later, a new one is opened.",
        "It closes by itself on 30 Nov 2026, 09:17:00 UTC.",
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"warn": 0.18}, "the thresholds of the monitor"), ({"current_seconds": 7200}, "what the monitor compares")],
)
def test_an_end_by_a_changed_monitor_never_says_that_data_returned_to_normal(
    changes: dict[str, object], what: str
) -> None:
    story = opened("warn")
    story.changes_monitor(**changes)
    assert story.text.headline == f"Ana changed {what}; the incident goes on."
    story.sees("ok")
    text = story.text
    assert text.title == "Resolved by a monitor change · flights-delay"
    assert text.headline == (
        f"The incident ended after a change of {what}. This does not mean that the data returned to normal."
    )


def test_a_pause_says_why_and_since_when() -> None:
    text = opened("warn", "insufficient").text
    assert text.title == "Evaluation paused: not enough data · flights-delay"
    assert text.headline == "Evaluation paused: no events came."
    assert text.next[0] == (
        "Evaluation paused since 23 Nov 2026, 09:17:00 UTC: not enough data. The incident does not change until there "
        "is enough."
    )


def test_drift_that_comes_back_in_time_reopens_and_later_closes_the_old_incident() -> None:
    story = opened("warn", "ok", "critical")
    text = story.text
    assert (text.title, text.step) == ("CRITICAL drift is back · flights-delay", "Reopened as critical")
    story.sees("ok")
    story.minute += 100
    story.sees("warn")
    closed, opening = story.decisions[-1].transitions
    assert closed.text.headline == "Drift came back after the reopen window."
    assert closed.text.next == ("Nothing more comes from this incident; a new one follows it.",)
    assert opening.text.title == "Warning: drift · flights-delay"


def test_closing_while_it_drifts_says_so_and_when_it_alerts_again() -> None:
    story = opened("warn")
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    text = story.text
    assert text.headline == "Ana closed the incident before the data had returned to normal."
    assert text.next == (
        "A new incident is opened when it gets critical, when the model drifts again after a clean evaluation, or if "
        "it still drifts after 24 Nov 2026, 09:18:00 UTC.",
    )
    story.sees("critical")
    assert story.text.headline.endswith("It is worse than when the last incident was closed.")


def test_drift_that_outlasts_the_quiet_time_says_that_it_is_not_new() -> None:
    story = opened("warn", latch_seconds=60)
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    story.minute += 5
    story.sees("warn")
    assert story.text.headline == (
        "flights-delay still drifts, and the quiet time after its last incident was closed is over: PSI is above the "
        "warning threshold."
    )


def test_a_word_about_normal_can_be_undone_and_its_undoing_says_so() -> None:
    story = opened("warn")
    story.asks(Action.ACCEPT)
    text = story.text
    assert text.title == "Closed: new normal · flights-delay"
    assert text.next[-1].startswith("This closing can be undone until 30 Nov 2026, 09:17:00 UTC")
    story.asks(Action.UNDO)
    text = story.text
    assert text.title == "Warning: drift, reopened · flights-delay"
    assert text.headline == "Ana took back that the drift was normal: the incident is open again."


def test_what_resolved_long_ago_says_how_long() -> None:
    story = opened("warn", "ok")
    story.waits(8 * 24 * 60)
    assert story.text.headline == "The incident closed by itself, 8 d after it had resolved."


def test_a_monitor_that_is_switched_off_promises_nothing() -> None:
    story = opened("warn")
    story.changes_monitor(enabled=False)
    text = story.text
    assert text.title == "Closed: monitor switched off · flights-delay"
    assert text.next == ("The monitor is off: nothing is evaluated until it is switched on again.",)


def test_a_deleted_model_promises_nothing() -> None:
    story = opened("warn")
    (step,) = decide(story.snapshot, ModelDeleted(ANA), at(5)).transitions
    assert step.text.headline == "Ana deleted the model."
    assert step.text.next == (
        "Nothing: the model was deleted on 23 Nov 2026, 09:20:00 UTC. The incident stays readable.",
    )


def test_a_name_is_one_visible_line_however_it_was_written() -> None:
    story = opened()
    story.asks(Action.NOTE, Actor(type=ActorType.USER, id="x", name="A\n\u202e" + 200 * "b"))
    headline = story.text.headline
    assert headline.startswith("A [U+202E]bbb")
    assert headline.endswith("… added a note.")
    assert len(headline) < 110
