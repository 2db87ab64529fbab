"""Segments that are evaluated by themselves: an incident opens, worsens and ends by them, and says which they are."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Level
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.transition import Cause
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.grades import psi_of
from sentryml_lifecycle.regrading import Basis, Regrading
from sentryml_lifecycle.text.psi_explanation import MOST_SEGMENTS, in_words, why_of
from sentryml_lifecycle.text.wording import headline
from tests.unit.incidents.builders import MONDAY, Story, an_evaluation, at, measured, quick, said, segmented, stands

ON = quick(evaluate_segments=True)


def drifting() -> Story:
    """A model that drifts in one segment alone."""
    story = Story(ON)
    story.measures_segments(eu=0.61, us=0.03)
    return story


class TestOpening:
    def test_a_segment_opens_the_incident_of_its_model_and_is_named(self) -> None:
        story = drifting()
        (step,) = story.decisions[-1].transitions
        assert (step.cause, stands(story.snapshot)) == (Cause.PSI_ABOVE_CRITICAL, "open/critical")
        assert step.text.title == "CRITICAL drift in segment “eu” · flights-delay"
        assert step.text.headline == (
            "The predictions of flights-delay in segment “eu” no longer look like the baseline: PSI is above the "
            "critical threshold. The model as a whole does not drift."
        )
        (why,) = step.why
        assert (why.segment, why.psi) == ("eu", 0.61)
        assert in_words(step.why)[0].startswith(
            "Score of segment “eu”: PSI 0.61, critical from 0.20; segment “eu” drifts, the other one does not; all "
            "predictions together: PSI 0.02; scores higher than in the baseline"
        )
        incident = story.snapshot.incident
        assert incident is not None
        assert incident.psi == 0.61
        assert headline(story.snapshot, incident, at(10)) == (
            "flights-delay has been drifting critically in segment “eu” for 9 min; latest PSI 0.61."
        )

    def test_a_warning_is_confirmed_as_one_of_the_model_is(self) -> None:
        story = Story(quick(confirm_warn=2))
        assert said(story.measures_segments(eu=0.15)) == "applied"
        assert said(story.measures_segments(eu=0.15)) == "opened!"

    def test_time_in_which_a_segment_drifts_is_not_normal_time(self) -> None:
        assert drifting().snapshot.normal_time.drift_lasts

    def test_a_high_psi_that_is_chance_is_not_that_of_the_model(self) -> None:
        noisy = segmented(measured(an_evaluation(), score=0.02), tiny=0.4)
        (tiny,) = noisy.segments
        quiet = tiny.model_copy(update={"level": Level.OK, "warn_at": 0.6, "critical_at": 0.6})
        assert psi_of(noisy) == 0.4
        assert psi_of(noisy.model_copy(update={"segments": (quiet,)})) == 0.02


class TestWorse:
    def test_another_segment_is_worse_once(self) -> None:
        story = drifting()
        decision = story.measures_segments(eu=0.61, us=0.15)
        assert said(decision) == "worsened!"
        assert decision.transitions[0].cause is Cause.ANOTHER_SIGNAL
        assert story.text.headline == (
            "flights-delay: score of segment “us” drifts too: PSI 0.15, a warning from 0.10, critical from 0.20."
        )
        assert [each.segment for each in decision.transitions[0].why] == ["us", "eu"], "what is new comes first"
        assert said(story.measures_segments(eu=0.61, us=0.15)) == "applied"

    def test_all_predictions_together_are_worse_than_a_segment(self) -> None:
        story = drifting()
        assert said(story.measures_segments(0.15, eu=0.61)) == "worsened!"
        assert story.text.headline.startswith("flights-delay: score drifts too: PSI 0.15")
        assert "segment" not in story.decisions[-1].transitions[0].text.title

    @pytest.mark.parametrize("segments", [{"eu": 0.15}, {"eu": 0.19, "us": 0.12, "asia": 0.11}])
    def test_what_all_predictions_have_shown_segments_do_not_report_again(self, segments: dict[str, float]) -> None:
        story = Story(ON)
        assert said(story.measures_segments(0.15)) == "opened!"
        assert said(story.measures_segments(0.15, **segments)) == "applied"

    def test_the_psi_of_a_segment_that_doubles_is_worse(self) -> None:
        story = drifting()
        assert said(story.measures_segments(eu=1.3, us=0.03)) == "worsened!"
        assert story.text.headline.startswith("flights-delay: PSI of score of segment “eu” doubled: 1.30")

    def test_a_segment_escalates_a_warning(self) -> None:
        story = Story(ON)
        story.measures_segments(eu=0.15)
        assert said(story.measures_segments(eu=0.3)) == "escalated!"
        assert story.text.headline.startswith("The drift of flights-delay in segment “eu” got worse")


class TestEnding:
    def test_it_resolves_when_the_segment_is_clean_and_not_before(self) -> None:
        story = drifting()
        assert said(story.measures_segments(eu=0.09, us=0.03)) == "deescalated", "not clean yet"
        assert said(story.measures_segments(eu=0.02, us=0.03)) == "resolved!"
        assert story.decisions[-1].transitions[0].cause is Cause.DATA_RETURNED_TO_NORMAL
        assert story.text.headline == "The predictions of flights-delay in segment “eu” look like the baseline again."
        assert not story.snapshot.normal_time.drift_lasts

    @pytest.mark.parametrize("left", [{"eu": None, "us": 0.03}, {"us": 0.03}, {}])
    def test_of_a_segment_that_has_ended_it_does_not_say_that_it_recovered(self, left: dict[str, float | None]) -> None:
        story = drifting()
        assert said(story.measures_segments(**left)) == "resolved!"
        assert story.decisions[-1].transitions[0].cause is Cause.TOO_FEW_SAMPLES
        assert story.text.headline == (
            "The drift of flights-delay in segment “eu” is no longer evaluated: too few predictions come from there. "
            "Nothing else drifts."
        )

    def test_switching_the_setting_off_is_the_cause_of_the_end(self) -> None:
        story = drifting()
        assert said(story.changes_monitor(evaluate_segments=False)) == "monitor_changed!"
        assert said(story.measures(score=0.02)) == "resolved!"
        assert story.decisions[-1].transitions[0].cause is Cause.BASELINE_CHANGED

    def test_a_person_accepts_it_as_any_other(self) -> None:
        story = drifting()
        assert said(story.asks(Action.ACCEPT)) == "closed!"


def test_most_segments_are_counted_and_few_explained() -> None:
    evaluation = segmented(
        measured(an_evaluation(), score=0.3), **{f"s{number}": 0.3 + number / 10 for number in range(9)}
    )
    why = why_of(evaluation)
    assert [each.segment for each in why] == [None, "s8", "s7", "s6"]
    assert len(why) == 1 + MOST_SEGMENTS
    assert why[1].slices[0].text == "segment “s8” drifts, the other 8 do too; all predictions together: PSI 0.30"


def test_many_segments_are_a_number_in_the_title() -> None:
    story = Story(ON)
    story.measures_segments(eu=0.3, us=0.4)
    assert story.decisions[-1].transitions[0].text.title == "CRITICAL drift in segments “eu” and “us” · flights-delay"
    story = Story(ON)
    story.measures_segments(eu=0.3, us=0.4, asia=0.5)
    assert story.decisions[-1].transitions[0].text.title == "CRITICAL drift in 3 segments · flights-delay"


def test_long_names_leave_room_for_the_model_in_a_title() -> None:
    story = Story(ON)
    story.measures_segments(**{"a" * 64: 0.3, "b" * 64: 0.4})
    names = [f"“{letter * 23}…”" for letter in "ab"]
    title = story.decisions[-1].transitions[0].text.title
    assert title == f"CRITICAL drift in segments {names[0]} and {names[1]} · flights-delay"


def test_a_replay_leaves_segments_out() -> None:
    for settings in (ON, quick(warn=0.05)):
        found, basis = Regrading(ON, settings).of(segmented(measured(an_evaluation(), score=0.02), eu=0.61))
        assert (found.level, found.segments, basis) == (Level.OK, (), Basis.EXACT)


def test_what_has_no_segments_has_the_same_bytes_as_before() -> None:
    evaluation = an_evaluation("critical", MONDAY)
    story = Story(quick())
    story.takes(evaluation)
    assert b"segment" not in encode(evaluation)
    assert "segment" not in story.snapshot.notified.model_dump_json()
    assert "segment" not in story.decisions[-1].transitions[0].why[0].model_dump_json()
