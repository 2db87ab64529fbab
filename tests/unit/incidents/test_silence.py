"""Silence: what a model that sends no predictions does to incidents, and what it leaves alone."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.transition import Cause
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.silence import Silence
from sentryml_lifecycle.text.psi_explanation import why_of
from sentryml_lifecycle.text.what_next import what_next
from sentryml_lifecycle.text.wording import headline, usual_rate
from tests.unit.incidents.builders import Story, an_evaluation, at, hearing, quick, said, stands


def silent(**settings: object) -> Story:
    """A model that has sent nothing since the tenth minute."""
    story = Story(quick(**settings), minute=30)
    story.hears("warn", 10)
    return story


def test_silence_opens_a_warning_that_resolves_as_soon_as_predictions_come_again() -> None:
    story = silent(confirm_resolve=3, resolve_after_seconds=3600)
    (step,) = story.decisions[-1].transitions
    assert (said(story.decisions[-1]), stands(story.snapshot), step.cause) == ("opened!", "open/warn", "no_predictions")
    assert step.text.title == "Warning: no predictions · flights-delay"
    expected = "No predictions have come from flights-delay since 09:25:00 UTC; usually 1,000 an hour at this time."
    assert (step.text.headline, step.why) == (expected, ())
    assert "when predictions come again" in " ".join(step.text.next)
    incident = story.snapshot.incident
    assert incident is not None
    assert headline(story.snapshot, incident, at(60)) == expected
    decision = story.hears("ok", 31)
    (step,) = decision.transitions
    assert (said(decision), stands(story.snapshot)) == ("resolved!", "resolved/warn")
    assert (step.cause, step.text.headline) == (
        Cause.PREDICTIONS_ARE_BACK,
        "Predictions come from flights-delay again.",
    )
    assert story.snapshot.silence == Silence()
    incident = story.snapshot.incident
    assert incident is not None
    assert headline(story.snapshot, incident, at(60)) == (
        "No predictions came from flights-delay for 1 min; the incident is resolved."
    )


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.WAS_NORMAL])
def test_silence_says_nothing_of_what_is_normal_until_drift_joins_it(action: Action) -> None:
    story = silent()
    before = story.snapshot.normal_time
    assert story.asks(action).outcome is Outcome.NOT_ALLOWED
    assert story.snapshot.normal_time == before
    story.sees("critical")
    assert story.asks(action).outcome is Outcome.APPLIED


def test_clean_evaluations_do_not_end_silence_and_evaluations_without_data_neither_open_nor_end_it() -> None:
    story = silent()
    story.sees("ok", "ok", "ok")
    assert stands(story.snapshot) == "open/warn"
    assert said(story.hears("insufficient_data", 10)) == "applied"
    assert said(story.hears("ok", 10)) == "applied", "no prediction has come in since"
    assert said(story.hears("warn", 20)) == "applied", "a late one has, and then no other"
    assert said(story.hears("ok", 39, grade="insufficient")) == "evaluation_paused resolved!"
    story = Story(quick(), minute=30)
    assert said(story.hears("warn", 10, grade="insufficient")) == "opened!", "too little data for a PSI"
    assert said(story.sees("insufficient")) == "applied"
    assert said(story.hears("insufficient_data", 10, grade="insufficient")) == "applied"
    assert stands(story.snapshot) == "open/warn"


@pytest.mark.parametrize("silence", [True, False])
def test_it_can_be_switched_off(silence: bool) -> None:
    story = silent(silence=silence)
    assert stands(story.snapshot) == ("open/warn" if silence else "-")


def test_switching_it_off_ends_an_incident_of_silence_and_says_why() -> None:
    story = silent()
    decision = story.changes_monitor(silence=False)
    assert (said(decision), stands(story.snapshot)) == ("resolved!", "resolved/warn")
    assert "does not mean that the data returned to normal" in story.text.headline
    assert story.snapshot.silence == Silence()
    story = silent()
    assert said(story.changes_monitor(enabled=False)) == "closed!"
    assert story.snapshot.silence == Silence()


def test_silence_makes_a_live_incident_of_drift_worse_and_leaves_it_as_it_is() -> None:
    story = Story(quick(), minute=30)
    story.sees("critical")
    story.asks(Action.ACKNOWLEDGE)
    excluded = story.snapshot.normal_time
    decision = story.hears("warn", 10, grade="critical")
    assert (said(decision), stands(story.snapshot)) == ("worsened!", "open/critical")
    (step,) = decision.transitions
    assert (step.text.step, step.text.title) == (
        "Worsened: no predictions",
        "CRITICAL drift, and no predictions · flights-delay",
    )
    assert "Ana had acknowledged the incident; nobody has acknowledged this." in step.text.headline
    assert story.snapshot.normal_time == excluded
    assert said(story.sees("ok", "ok")).startswith("applied"), "the window drains: this is no recovery"
    assert stands(story.snapshot).startswith("open/")
    incident = story.snapshot.incident
    assert incident is not None
    assert "It was drifting" in headline(story.snapshot, incident, at(60))
    assert "not resolve before predictions come again" in " ".join(what_next(story.snapshot, incident, at(60)))
    decision = story.hears("ok", 50, grade="hold")
    assert said(decision) == "evaluation_resumed"
    assert decision.transitions[0].text.step == "Predictions are back"
    assert said(story.sees("ok")) == "resolved!"
    assert story.decisions[-1].transitions[-1].cause == "data_returned_to_normal"


def test_drift_makes_an_incident_of_silence_one_of_drift() -> None:
    story = silent()
    assert said(story.sees("warn")) == "worsened!"
    assert said(story.hears("ok", 40, grade="warn")) == "evaluation_resumed"
    assert stands(story.snapshot) == "open/warn"
    assert said(story.sees("ok")) == "resolved!"
    story = silent()
    assert said(story.sees("critical")) == "escalated!"
    assert said(story.hears("ok", 40, grade="critical")) == "evaluation_resumed"


def test_silence_neither_begins_nor_ends_an_excluded_interval() -> None:
    story = silent()
    story.hears("ok", 40)
    assert story.snapshot.normal_time == NormalTime()


def test_silence_soon_after_reopens_the_incident_and_later_opens_a_new_one() -> None:
    story = silent()
    story.hears("ok", 31)
    decision = story.hears("warn", 32)
    assert (said(decision), stands(story.snapshot)) == ("reopened!", "open/warn")
    assert decision.transitions[0].text.title == "Warning: no predictions again · flights-delay"
    story.hears("ok", 34)
    first = story.snapshot.incident
    story.waits(600)
    decision = story.hears("warn", 100)
    assert said(decision) == "closed opened!"
    assert story.snapshot.incident is not None
    assert first is not None
    assert story.snapshot.incident.previous_incident_id == first.incident_id


def test_what_a_person_has_closed_stays_closed_until_predictions_have_come_again() -> None:
    story = silent()
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    assert said(story.hears("warn", 10)) == "applied"
    assert said(story.hears("ok", 40)) == "applied"
    assert said(story.hears("warn", 41)) == "opened!"


def test_another_volume_is_a_sentence_beside_drift() -> None:
    def said_of(ratio: float, grade: str = "warn") -> list[str]:
        evaluation = hearing(an_evaluation(grade), "ok", 0, volume_ratio=ratio)
        return [move for why in why_of(evaluation) for move in why.moves if move.startswith("volume")]

    assert said_of(0.5) == ["volume: 50 % as many predictions as at the same time last week"]
    assert said_of(2.04) == ["volume: 2.0 times as many predictions as at the same time last week"]
    assert said_of(0.9) == said_of(1.8) == []


def test_the_usual_number_of_predictions_is_rounded() -> None:
    rates = [usual_rate(each) for each in (None, 0.0, 1003.0, 12.4, 0.5, 0.01, 123_456.0)]
    assert rates == ["", "", "1,000 an hour", "12 an hour", "12 a day", "less than 1 a day", "120,000 an hour"]
