"""What the table cannot show: counts and times, latch, blindness, monitors that change, evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentryml_common.contracts.transition import Cause, Severity, State, TransitionKind
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import EvidenceRole
from sentryml_lifecycle.state_machine import Evaluated, decide
from tests.unit.incidents.builders import ANA, BEN, Story, an_evaluation, at, quick, said, stands


def default() -> Story:
    """The monitor's own defaults; dwell 2 h 24 min at one evaluation a minute."""
    return Story(settings=quick(confirm_warn=2, confirm_deescalate=3, confirm_resolve=3, resolve_after_seconds=None))


def test_two_warnings_in_a_row_open() -> None:
    story = default()
    assert said(story.sees("warn")) == "applied"
    assert said(story.sees("warn")) == "opened!"
    assert story.decisions[-1].transitions[0].cause is Cause.PSI_ABOVE_WARN


@pytest.mark.parametrize("between", ["ok", "hold"])
def test_anything_below_a_warning_starts_the_count_again(between: str) -> None:
    story = default()
    story.sees("warn", between, "warn")
    assert stands(story.snapshot) == "-"


def test_missing_data_between_two_warnings_freezes_the_count() -> None:
    story = default()
    story.sees("warn", "insufficient")
    assert said(story.sees("warn")) == "opened!"


def test_a_critical_evaluation_counts_as_a_warning_too() -> None:
    story = Story(settings=quick(confirm_warn=2, confirm_critical=3))
    story.sees("critical")
    assert said(story.sees("critical")) == "opened!"
    assert stands(story.snapshot) == "open/warn"
    assert said(story.sees("critical")) == "escalated!"


def test_resolving_takes_both_the_count_and_the_time() -> None:
    story = Story(settings=quick(confirm_resolve=3, resolve_after_seconds=300))
    story.sees("warn")
    story.sees("ok", "ok", "ok", "ok", "ok")  # minutes 2…6: four minutes clean
    assert stands(story.snapshot) == "open/warn"
    assert said(story.sees("ok")) == "resolved!"


def test_many_clean_minutes_are_not_enough_evaluations() -> None:
    story = Story(settings=quick(confirm_resolve=3, resolve_after_seconds=300))
    story.sees("warn", "ok")
    story.minute += 60
    assert said(story.sees("ok")) == "applied"
    assert said(story.sees("ok")) == "resolved!"


def test_hold_keeps_an_incident_and_starts_the_clean_count_again() -> None:
    story = Story(settings=quick(confirm_resolve=2))
    story.sees("warn", "ok", "hold", "ok")
    assert stands(story.snapshot) == "open/warn"
    assert said(story.sees("ok")) == "resolved!"


def test_time_without_data_does_not_count_as_clean() -> None:
    story = Story(settings=quick(confirm_resolve=2, resolve_after_seconds=3600))
    story.sees("warn", "ok", "insufficient")
    story.minute += 24 * 60
    assert said(story.sees("ok")) == "evaluation_resumed"
    assert story.snapshot.counts.ok_seconds == 0
    story.minute += 60
    assert said(story.sees("ok")) == "resolved!"


def test_paused_and_resumed_are_said_once_each() -> None:
    story = Story()
    story.sees("warn")
    assert [said(story.sees("insufficient")) for _ in range(3)] == ["evaluation_paused", "applied", "applied"]
    assert story.snapshot.evaluation_paused_since == at(2)
    assert said(story.sees("warn")) == "evaluation_resumed"
    assert story.snapshot.evaluation_paused_since is None


def test_resumed_and_worse_says_both() -> None:
    story = Story()
    story.sees("warn", "insufficient")
    assert said(story.sees("critical")) == "evaluation_resumed escalated!"


def test_the_severity_falls_after_three_evaluations_below_critical_and_rises_again_with_an_alert() -> None:
    story = Story(settings=quick(confirm_deescalate=3, confirm_resolve=9))
    story.sees("critical", "warn", "hold")
    assert stands(story.snapshot) == "open/critical"
    assert said(story.sees("ok")) == "deescalated"
    assert said(story.sees("critical")) == "escalated!"


def test_worse_than_acknowledged_needs_acknowledging_again() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    escalated = story.sees("critical").transitions[0]
    assert escalated.alert
    assert (escalated.from_, escalated.to.state) != (None, State.ACKNOWLEDGED)
    assert story.snapshot.incident is not None
    assert story.snapshot.incident.acknowledged_by == ()


def test_an_acknowledged_incident_resolves_with_an_alert() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    assert said(story.sees("ok")) == "resolved!"


def test_everyone_who_has_seen_it_is_recorded_once() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    assert story.asks(Action.ACKNOWLEDGE, BEN).transitions[0].cause is Cause.CO_ACKNOWLEDGED
    assert said(story.asks(Action.ACKNOWLEDGE, BEN)) == "unchanged"
    assert story.snapshot.incident is not None
    assert story.snapshot.incident.acknowledged_by == (ANA, BEN)


def test_asking_twice_for_an_acknowledgement_back_is_no_error() -> None:
    story = Story()
    story.sees("warn")
    story.asks(Action.ACKNOWLEDGE)
    assert said(story.asks(Action.UNACKNOWLEDGE)) == "unacknowledged"
    story.asks(Action.NOTE, note="still looking")
    assert said(story.asks(Action.UNACKNOWLEDGE)) == "unchanged"


def test_drift_within_the_reopen_window_is_the_same_incident() -> None:
    story = Story()
    story.sees("warn", "ok")
    before = story.snapshot.incident
    story.minute += 58
    story.sees("critical")
    after = story.snapshot.incident
    assert before is not None
    assert after is not None
    assert (after.incident_id, after.reopened, after.resolved_at) == (before.incident_id, 1, None)


def test_drift_after_the_reopen_window_is_a_new_incident_linked_to_the_last() -> None:
    story = Story()
    story.sees("warn", "ok")
    before = story.snapshot.incident
    story.minute += 61
    decision = story.sees("warn")
    assert before is not None
    assert decision.followed is not None
    assert (decision.followed.incident_id, decision.followed.state) == (before.incident_id, State.CLOSED)
    assert decision.transitions[0].cause is Cause.FOLLOWED_BY_NEW_INCIDENT
    assert decision.snapshot.incident is not None
    assert decision.snapshot.incident.previous_incident_id == before.incident_id
    assert decision.snapshot.incident.incident_id != before.incident_id


def test_a_new_incident_is_linked_to_one_that_was_closed_too() -> None:
    story = Story()
    story.sees("warn", "ok")
    story.asks(Action.CLOSE)
    before = story.snapshot.incident
    story.sees("warn")
    assert before is not None
    assert story.snapshot.incident is not None
    assert story.snapshot.incident.previous_incident_id == before.incident_id


class TestLatch:
    """Closed while it drifted: quiet, until worse, recovered, or a day later."""

    @staticmethod
    def latched(severity: str) -> Story:
        story = Story()
        story.sees(severity)
        story.asks(Action.ACKNOWLEDGE)
        story.asks(Action.CLOSE)
        return story

    def test_speaks_when_worse(self) -> None:
        story = self.latched("warn")
        story.sees("warn", "warn")
        opened = story.sees("critical").transitions[0]
        assert (opened.kind, opened.cause) == (TransitionKind.OPENED, Cause.WORSE_THAN_WHEN_CLOSED)

    def test_speaks_after_recovery(self) -> None:
        story = self.latched("critical")
        story.sees("critical", "ok")
        assert said(story.sees("critical")) == "opened!"

    def test_speaks_after_a_day_at_once_if_it_never_stopped(self) -> None:
        story = self.latched("critical")
        story.sees("critical", "critical")
        story.minute += 24 * 60
        assert story.sees("critical").transitions[0].cause is Cause.STILL_DRIFTING_AFTER_LATCH

    def test_is_taken_off_the_old_incident_when_a_new_one_opens(self) -> None:
        story = self.latched("warn")
        decision = story.sees("critical")
        assert decision.followed is not None
        assert decision.followed.latched_until is None

    def test_is_not_set_when_the_data_were_clean_already(self) -> None:
        story = Story(settings=quick(confirm_resolve=5))
        story.sees("warn", "ok")
        story.asks(Action.ACKNOWLEDGE)
        story.asks(Action.CLOSE)
        assert story.snapshot.incident is not None
        assert story.snapshot.incident.latched_until is None

    def test_is_set_when_closed_blind(self) -> None:
        story = Story()
        story.sees("warn", "insufficient")
        story.asks(Action.ACKNOWLEDGE)
        story.asks(Action.CLOSE)
        assert story.snapshot.incident is not None
        assert story.snapshot.incident.latched_until is not None


class TestMonitorChanges:
    """A recovery that a changed monitor made is never called a recovery of the data."""

    def test_thresholds_that_end_an_incident_are_its_cause(self) -> None:
        story = Story()
        story.sees("warn")
        story.changes_monitor(warn=0.19)
        assert story.sees("ok").transitions[0].cause is Cause.THRESHOLDS_CHANGED

    def test_a_changed_baseline_that_ends_an_incident_is_its_cause(self) -> None:
        story = Story()
        story.sees("warn")
        story.changes_monitor(baseline_seconds=14 * 86_400)
        assert story.sees("ok").transitions[0].cause is Cause.BASELINE_CHANGED

    def test_drift_under_the_new_settings_makes_a_later_recovery_the_datas_own(self) -> None:
        story = Story()
        story.sees("warn")
        story.changes_monitor(warn=0.12)
        story.sees("warn")
        assert story.sees("ok").transitions[0].cause is Cause.DATA_RETURNED_TO_NORMAL

    def test_changed_times_are_noted_and_blamed_for_nothing(self) -> None:
        story = Story()
        story.sees("warn")
        changed = story.changes_monitor(latch_seconds=60).transitions[0]
        assert (changed.cause, changed.alert) == (Cause.TIMES_CHANGED, False)
        assert story.sees("ok").transitions[0].cause is Cause.DATA_RETURNED_TO_NORMAL

    def test_the_entry_says_what_changed(self) -> None:
        story = Story()
        story.sees("warn")
        entry = story.changes_monitor(warn=0.15, critical=0.3, min_samples=100).transitions[0]
        assert entry.note == "warn 0.1 → 0.15; critical 0.2 → 0.3; min_samples default → 100"
        assert entry.actor == ANA

    def test_what_was_counted_under_other_thresholds_counts_no_more(self) -> None:
        story = Story(settings=quick(confirm_warn=2))
        story.sees("warn")
        story.changes_monitor(warn=0.12)
        assert said(story.sees("warn")) == "applied"
        assert said(story.sees("warn")) == "opened!"

    def test_a_disabled_monitor_decides_nothing_more(self) -> None:
        story = Story()
        story.sees("warn")
        assert story.changes_monitor(enabled=False).transitions[0].cause is Cause.MONITOR_DISABLED
        assert story.sees("critical").outcome is Outcome.MONITOR_DISABLED
        story.changes_monitor(enabled=True)
        assert said(story.sees("critical")) == "opened!"

    def test_an_evaluation_made_under_an_older_version_decides_nothing(self) -> None:
        story = Story()
        story.changes_monitor(warn=0.19)
        late = an_evaluation("critical", at(10), version=1)
        assert decide(story.snapshot, Evaluated(late), late.evaluated_at).outcome is Outcome.SUPERSEDED


def test_the_same_evaluation_twice_is_the_same_as_once() -> None:
    story = Story()
    evaluation = an_evaluation("warn", at(1))
    once = decide(story.snapshot, Evaluated(evaluation), at(1)).snapshot
    twice = decide(once, Evaluated(evaluation), at(1))
    assert (twice.outcome, twice.snapshot, twice.transitions) == (Outcome.REPEATED, once, ())


def test_an_evaluation_that_is_not_newer_decides_nothing() -> None:
    story = Story()
    story.sees("ok", "ok")
    for minute in (1.5, 2):
        late = replace(story.snapshot, last_evaluation_id=None)
        decision = decide(late, Evaluated(an_evaluation("critical", at(minute))), at(minute))
        assert (decision.outcome, decision.snapshot) == (Outcome.OLDER, late)


class TestEvidence:
    """Which times keep their evaluation."""

    def test_opening_is_a_peak(self) -> None:
        assert Story().sees("warn").evidence == (EvidenceRole.OPENED, EvidenceRole.PEAK)

    def test_the_peak_moves_up_and_never_down(self) -> None:
        story = Story()
        story.sees("warn", psi=0.15)
        assert story.sees("warn", psi=0.17).evidence == (EvidenceRole.PEAK,)
        assert story.sees("warn", psi=0.12).evidence == ()
        incident = story.snapshot.incident
        assert incident is not None
        assert (incident.psi, incident.peak_psi, incident.peak_at) == (0.12, 0.17, at(2))

    def test_every_change_of_severity_and_the_end_are_kept(self) -> None:
        story = Story()
        kept = [story.sees(grade).evidence for grade in ("warn", "critical", "warn", "ok", "critical")]
        assert [roles[-1] if len(roles) == 1 else set(roles) for roles in kept[1:]] == [
            {EvidenceRole.PEAK, EvidenceRole.ESCALATED},
            EvidenceRole.DEESCALATED,
            EvidenceRole.RESOLVED,
            EvidenceRole.REOPENED,
        ]


def test_a_resolved_incident_is_closed_after_its_time_by_the_system() -> None:
    story = Story(settings=quick(close_after_seconds=600))
    story.sees("warn", "ok")
    assert said(story.waits(9)) == "unchanged"
    closed = story.waits(1).transitions[0]
    assert (closed.kind, closed.cause, closed.alert) == (TransitionKind.CLOSED, Cause.RESOLVED_LONG_AGO, False)


def test_severity_is_never_none_in_what_is_written() -> None:
    story = Story()
    story.sees("critical", "warn", "ok")
    severities = [step.to.severity for decision in story.decisions for step in decision.transitions]
    assert severities == [Severity.CRITICAL, Severity.WARN, Severity.WARN]
