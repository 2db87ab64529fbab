"""Worse is an alert: another signal, another kind of drift, or twice the PSI; and trembling is none."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Season, Signal
from sentryml_common.contracts.transition import Cause, State
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import EvidenceRole
from sentryml_lifecycle.text.what_next import what_next
from sentryml_lifecycle.text.wording import headline
from tests.unit.incidents.builders import Story, a_signal, an_evaluation, at, quick, said, stands, with_reference


class TestAnotherSignal:
    def test_at_warn_it_alerts_once(self) -> None:
        story = Story()
        story.measures(score=0.15, prediction=0.02)
        decision = story.measures(score=0.15, prediction=0.12)
        assert said(decision) == "worsened!"
        (step,) = decision.transitions
        assert step.cause is Cause.ANOTHER_SIGNAL
        assert step.text.title == "Warning: drift, worse · flights-delay"
        assert step.text.step == "Worsened: another signal"
        assert step.text.headline == (
            "flights-delay: prediction drifts too: PSI 0.12, a warning from 0.10, critical from 0.20."
        )
        assert [why.signal for why in step.why] == ["prediction", "score"], "what is new comes first"
        assert decision.evidence == (EvidenceRole.WORSENED,)
        assert said(story.measures(score=0.15, prediction=0.12)) == "applied"
        story.measures(score=0.15, prediction=0.02)
        assert said(story.measures(score=0.15, prediction=0.12)) == "applied", "it was reached before"

    def test_an_acknowledged_incident_is_open_again_and_says_who_had_acknowledged_it(self) -> None:
        story = Story()
        story.measures(score=0.15, prediction=0.02)
        story.asks(Action.ACKNOWLEDGE)
        story.measures(score=0.15, prediction=0.12)
        incident = story.snapshot.incident
        assert incident is not None
        assert (incident.state, incident.acknowledged_by) == (State.OPEN, ())
        assert story.text.headline.endswith(" Ana had acknowledged the incident; nobody has acknowledged this.")

    def test_that_becomes_critical_too(self) -> None:
        story = Story()
        story.measures(score=0.3, prediction=0.12)
        decision = story.measures(score=0.3, prediction=0.31)
        assert (said(decision), stands(story.snapshot)) == ("worsened!", "open/critical")
        assert story.text.headline == "flights-delay: prediction is critical too: PSI 0.31, critical from 0.20."

    def test_that_is_the_first_at_critical_is_an_escalation_and_covers_it(self) -> None:
        story = Story()
        story.measures(score=0.15, prediction=0.02)
        assert said(story.measures(score=0.15, prediction=0.3)) == "escalated!"
        assert said(story.measures(score=0.15, prediction=0.3)) == "applied"

    def test_that_the_alert_has_shown_is_not_reported_again(self) -> None:
        story = Story(quick(confirm_warn=2))
        story.measures(score=0.15, prediction=0.02)
        assert said(story.measures(score=0.15, prediction=0.12)) == "opened!"
        assert said(story.measures(score=0.15, prediction=0.12)) == "applied"

    def test_is_confirmed_as_critical_is(self) -> None:
        story = Story(quick(confirm_critical=2))
        story.measures(score=0.15, prediction=0.02)
        assert said(story.measures(score=0.15, prediction=0.12)) == "applied"
        story.measures(score=0.15, prediction=0.02)
        assert said(story.measures(score=0.15, prediction=0.12)) == "applied"
        assert said(story.measures(score=0.15, prediction=0.12)) == "worsened!"

    def test_while_the_severity_falls_both_are_said(self) -> None:
        story = Story()
        story.measures(score=0.3, prediction=0.02)
        decision = story.measures(score=0.1, prediction=0.12)
        assert (said(decision), stands(story.snapshot)) == ("deescalated worsened!", "open/warn")


class TestTwiceThePsi:
    def test_alerts_at_each_doubling_since_the_last_alert(self) -> None:
        story = Story()
        alerts = [psi for psi in (0.12, 0.18, 0.25, 0.38, 0.5, 0.74, 0.9, 1.0) if story.measures(score=psi).transitions]
        assert alerts == [0.12, 0.25, 0.5, 1.0]
        (step,) = story.decisions[-1].transitions
        assert (step.kind, step.cause, step.text.step) == ("worsened", Cause.PSI_DOUBLED, "Worsened: PSI doubled")
        assert step.text.title == "CRITICAL drift, worse · flights-delay"
        assert step.text.headline == (
            "flights-delay: PSI of score doubled: 1.00, it was 0.50 when you were last notified."
        )

    def test_an_acknowledged_incident_does_not_hide_it(self) -> None:
        story = Story()
        story.measures(score=0.3)
        story.asks(Action.ACKNOWLEDGE)
        assert said(story.measures(score=0.59)) == "applied"
        assert said(story.measures(score=0.6)) == "worsened!"
        assert story.snapshot.incident is not None
        assert story.snapshot.incident.acknowledged_by == ()

    def test_with_an_escalation_is_one_step(self) -> None:
        story = Story()
        story.measures(score=0.12)
        assert said(story.measures(score=0.9)) == "escalated!"
        assert said(story.measures(score=0.9)) == "applied"

    def test_counts_from_what_the_last_alert_showed_of_that_signal(self) -> None:
        story = Story()
        story.measures(score=0.9, prediction=0.02)
        assert said(story.measures(score=0.3, prediction=0.12)) == "worsened!"
        decision = story.measures(score=0.6, prediction=0.12)
        assert (
            story.text.headline == "flights-delay: PSI of score doubled: 0.60, it was 0.30 when you were last notified."
        )
        assert decision.transitions[0].cause is Cause.PSI_DOUBLED

    def test_of_two_signals_is_one_step_that_names_both(self) -> None:
        story = Story()
        story.measures(score=0.3, prediction=0.25)
        story.measures(score=0.6, prediction=0.5)
        assert story.text.headline == (
            "flights-delay: PSI of score doubled: 0.60, it was 0.30 when you were last notified. "
            "PSI of prediction doubled: 0.50, it was 0.25 when you were last notified."
        )

    def test_counts_from_the_warning_threshold_in_force(self) -> None:
        story = Story()
        story.measures(score=0.15)
        risen = a_signal("warn", psi=0.31).model_copy(update={"warn_at": 0.2, "critical_at": 0.5})
        assert said(story.takes(an_evaluation("warn", at(9)).model_copy(update={"signals": (risen,)}))) == "applied"

    def test_is_not_found_between_two_comparisons(self) -> None:
        """Against the same time last week the PSI was 0.12; that it is 0.45 against the baseline is no doubling."""
        story = Story(quick(critical=0.5))
        against_week = Season(
            psi=0.12, period_seconds=604_800, periods=(1,), count=1000, noise_floor=0.01, warn_at=0.1, critical_at=0.5
        )
        signal = a_signal("warn", psi=0.6).model_copy(update={"critical_at": 0.5, "season": against_week})
        story.takes(an_evaluation("warn", at(1)).model_copy(update={"signals": (signal,)}))
        assert story.snapshot.notified.findings[0].psi == 0.12
        signal = signal.model_copy(update={"psi": 0.45})
        assert said(story.takes(an_evaluation("warn", at(2)).model_copy(update={"signals": (signal,)}))) == "applied"

    def test_starts_over_when_the_incident_reopens(self) -> None:
        story = Story()
        story.measures(score=0.3)
        story.measures(score=0.02)
        assert said(story.measures(score=0.8)) == "reopened!"
        assert said(story.measures(score=0.9)) == "applied"

    def test_goes_on_from_before_when_a_persons_word_is_undone(self) -> None:
        story = Story()
        story.measures(score=0.3)
        story.asks(Action.WAS_NORMAL)
        assert said(story.asks(Action.UNDO)) == "reopened!"
        assert said(story.measures(score=0.3)) == "applied"
        assert said(story.measures(score=0.7)) == "worsened!"

    def test_counts_from_0_under_another_monitor(self) -> None:
        story = Story(quick(confirm_critical=2))
        story.measures(score=0.15)
        story.measures(score=0.5)
        story.changes_monitor(warn=0.12)
        assert said(story.measures(score=0.5)) == "applied"
        assert said(story.measures(score=0.5)) == "escalated!"


class TestSlowDriftAndSuddenDrift:
    def test_a_sudden_warning_in_an_incident_of_slow_drift_alerts(self) -> None:
        story = with_reference()
        story.measures_slowly(score=0.15)
        story.asks(Action.ACKNOWLEDGE)
        decision = story.measures(score=0.12)
        (step,) = decision.transitions
        assert (said(decision), step.cause, stands(story.snapshot)) == (
            "worsened!",
            Cause.SUDDEN_DRIFT_TOO,
            "open/warn",
        )
        assert step.text.headline.startswith(
            "flights-delay: score drifts suddenly too: PSI 0.12, a warning from 0.10, critical from 0.20."
        )

    def test_slow_drift_in_an_incident_of_sudden_drift_alerts_once(self) -> None:
        story = with_reference(confirm_warn=2, confirm_resolve=9)
        story.measures(score=0.15)
        story.measures(score=0.15)
        assert said(story.measures_slowly(score=0.13)) == "applied", "slow drift is not confirmed"
        decision = story.measures_slowly(score=0.13)
        assert (said(decision), decision.transitions[0].cause) == ("worsened!", Cause.SLOW_DRIFT)
        assert decision.transitions[0].text.step == "Worsened: slow drift too"
        assert story.text.headline == (
            "flights-delay: score drifts slowly too: PSI 0.13 against the reference, a warning from 0.10."
        )
        assert decision.transitions[0].why[0].how_serious.endswith("against the reference, a warning from 0.10")
        assert said(story.measures_slowly(score=0.13)) == "applied"

    def test_twice_the_psi_against_the_reference_alerts(self) -> None:
        story = with_reference(confirm_critical=2)
        story.measures_slowly(score=0.12)
        story.measures_slowly(score=0.25)
        assert said(story.measures(score=0.02)) == "applied", "no comparison in between counts neither way"
        assert said(story.measures_slowly(score=0.25)) == "worsened!"
        assert story.decisions[-1].transitions[0].text.title == "Warning: slow drift, worse · flights-delay"
        assert story.text.headline == (
            "flights-delay: PSI of score against the reference doubled: 0.25, it was 0.12 when you were last notified."
        )

    def test_slow_drift_that_is_only_shown_alerts_nobody(self) -> None:
        story = with_reference(slow_drift=False, confirm_resolve=9)
        story.measures(score=0.15)
        assert said(story.measures_slowly(score=0.3)) == "applied"

    def test_against_another_reference_it_is_new(self) -> None:
        story, another = with_reference(confirm_resolve=9), an_evaluation().evaluation_id
        story.measures(score=0.15)
        story.measures_slowly(score=0.13)
        story.changes_reference(another)
        story.minute += 1
        assert not [each for each in story.snapshot.notified.findings if each.slow]

    def test_after_quiet_time_what_was_said_of_slow_drift_stands(self) -> None:
        story = with_reference(latch_seconds=600)
        story.measures_slowly(score=0.15)
        story.asks(Action.ACKNOWLEDGE)
        story.asks(Action.CLOSE)
        story.minute += 10
        assert said(story.measures(score=0.02)) == "opened!"
        assert said(story.measures_slowly(score=0.15)) == "applied"

    def test_the_headline_psi_is_of_the_comparison_that_gives_the_severity(self) -> None:
        story = with_reference(confirm_deescalate=2, confirm_resolve=9)

        def reads() -> tuple[float, str]:
            incident = story.snapshot.incident
            assert incident is not None
            return incident.psi, headline(story.snapshot, incident, at(story.minute))

        story.measures_slowly(score=0.15)
        story.measures(score=0.5)
        assert reads() == (0.5, "flights-delay has been drifting critically for 1 min; latest PSI 0.50.")
        story.measures(score=0.09)
        assert reads() == (0.09, "flights-delay has been drifting critically for 2 min; latest PSI 0.09.")
        story.measures(score=0.09)
        assert stands(story.snapshot) == "open/warn"
        psi, text = reads()
        assert psi == 0.15
        assert text.endswith("PSI 0.15 against its reference.")
        story.measures(score=0.12)
        assert reads()[0] == 0.12

    def test_what_has_recovered_says_from_what(self) -> None:
        story = with_reference(confirm_resolve=1)
        story.measures_slowly(score=0.15)
        story.measures_slowly(score=0.02)
        assert story.text.headline == "The predictions of flights-delay look like the reference again."
        story.measures_slowly(score=0.15)
        story.measures(score=0.15)
        assert story.snapshot.incident is not None
        following = what_next(story.snapshot, story.snapshot.incident, at(story.minute))
        assert following[0].startswith("It resolves by itself once data are like the baseline and the reference again.")
        story.measures_slowly(score=0.02)
        assert story.text.headline == "The predictions of flights-delay look like the baseline and the reference again."


class TestTrembling:
    @pytest.mark.parametrize("threshold", [0.1, 0.2])
    def test_around_a_threshold_is_one_alert(self, threshold: float) -> None:
        story = Story(quick(confirm_warn=2, confirm_deescalate=3, confirm_resolve=3, resolve_after_seconds=600))
        for minute in range(300):
            story.measures(score=threshold * (1.1 if minute % 7 in (0, 1) else 0.9))
        alerts = [step.kind for decision in story.decisions for step in decision.transitions if step.alert]
        assert alerts == ["opened"]

    def test_below_critical_by_less_than_the_margin_starts_the_count_again(self) -> None:
        story = Story(quick(confirm_deescalate=2))
        story.measures(score=0.3)
        for psi in (0.15, 0.17, 0.15, 0.161):
            assert said(story.measures(score=psi)) == "applied"
        assert story.snapshot.counts.below_critical == 0
        story.measures(score=0.15)
        assert said(story.measures(score=0.159)) == "deescalated"
        assert said(story.measures(score=0.2)) == "escalated!"

    def test_the_margin_is_of_each_signal(self) -> None:
        story = Story()
        story.measures(score=0.3, prediction=0.3)
        assert said(story.measures(score=0.02, prediction=0.17)) == "applied"
        assert said(story.measures(score=0.02, prediction=0.15)) == "deescalated"

    def test_the_season_is_enough_to_be_below(self) -> None:
        story = Story()
        story.measures(score=0.5)
        season = Season(
            psi=0.12, period_seconds=604_800, periods=(1,), count=1000, noise_floor=0.01, warn_at=0.1, critical_at=0.2
        )
        signal = a_signal("warn", psi=0.5, signal=Signal.SCORE).model_copy(update={"season": season})
        decision = story.takes(an_evaluation("warn", at(9)).model_copy(update={"signals": (signal,)}))
        assert said(decision) == "deescalated"
