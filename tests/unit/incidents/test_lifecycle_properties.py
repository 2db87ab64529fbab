"""Laws of the state machine under any history: people and evaluations in any order, repeated and late ones too."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.transition import Severity, State, TransitionKind
from sentryml_incidents.domain.decision import Decision, Outcome
from sentryml_incidents.domain.lifecycle import Evaluated, decide
from sentryml_incidents.domain.people import ALLOWED, Action
from sentryml_incidents.domain.snapshot import Incident, Snapshot, Transition
from tests.unit.incidents.builders import ANA, BEN, Story, an_evaluation, at, quick

GRADES = ("ok", "hold", "warn", "critical", "insufficient")
SEES = st.tuples(st.just("sees"), st.sampled_from(GRADES))
ASKS = st.tuples(st.just("asks"), st.sampled_from([(action, who) for action in Action for who in (ANA, BEN)]))
WAITS = st.tuples(st.just("waits"), st.sampled_from([1.0, 30.0, 61.0, 24 * 60.0, 8 * 24 * 60.0]))
CHANGES = st.tuples(
    st.just("changes"), st.sampled_from([{"warn": 0.12}, {"latch_seconds": 60}, {"enabled": False}, {"enabled": True}])
)
HISTORIES = st.lists(st.one_of(SEES, SEES, SEES, ASKS, WAITS, CHANGES), max_size=40)
MONITORS = st.builds(
    quick,
    confirm_warn=st.integers(1, 3),
    confirm_critical=st.integers(1, 2),
    confirm_deescalate=st.integers(1, 3),
    confirm_resolve=st.integers(1, 3),
    resolve_after_seconds=st.sampled_from([0, 120]),
)


@dataclass
class Ledger:
    """What a store would hold: every incident as last written, every transition in order."""

    incidents: dict[UUID, Incident] = field(default_factory=dict)
    transitions: dict[UUID, list[Transition]] = field(default_factory=dict)

    def write(self, decision: Decision) -> None:
        for incident in (decision.followed, decision.snapshot.incident):
            if incident is not None:
                self.incidents[incident.incident_id] = incident
        for step in decision.transitions:
            self.transitions.setdefault(step.incident_id, []).append(step)


def live(history: list[tuple[str, object]], monitor: object) -> tuple[Story, Ledger, list[tuple[Snapshot, Decision]]]:
    """Live a history; return the story, what was written, and each decision with the snapshot before it."""
    story, ledger, decided = Story(settings=monitor), Ledger(), []  # type: ignore[arg-type]
    for what, how in history:
        before = story.snapshot
        if what == "sees":
            decision = story.sees(how)  # type: ignore[arg-type]
        elif what == "asks":
            decision = story.asks(*how, note="because")  # type: ignore[misc]
        elif what == "waits":
            decision = story.waits(how)  # type: ignore[arg-type]
        else:
            decision = story.changes_monitor(**how)  # type: ignore[arg-type]
        ledger.write(decision)
        decided.append((before, decision))
    return story, ledger, decided


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_at_most_one_incident_is_live_and_it_is_the_newest(history, monitor) -> None:  # type: ignore[no-untyped-def]
    story, ledger, _ = live(history, monitor)
    alive = [incident for incident in ledger.incidents.values() if incident.live]
    assert len(alive) <= 1
    assert all(story.snapshot.incident == incident for incident in alive)


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_the_timeline_replays_to_what_is_stored(history, monitor) -> None:  # type: ignore[no-untyped-def]
    _, ledger, _ = live(history, monitor)
    for incident_id, incident in ledger.incidents.items():
        steps = ledger.transitions[incident_id]
        assert [step.sequence for step in steps] == list(range(1, incident.sequence + 1))
        assert steps[0].kind is TransitionKind.OPENED
        assert steps[0].from_ is None
        for before, after in pairwise(steps):
            assert after.from_ == before.to
        assert steps[-1].to == incident.standing


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_every_rise_alerts_whatever_anyone_did(history, monitor) -> None:  # type: ignore[no-untyped-def]
    """Opened, escalated, reopened and resolved always alert; nothing that a person does ever takes that away."""
    _, ledger, _ = live(history, monitor)
    loud = {TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.REOPENED, TransitionKind.RESOLVED}
    for steps in ledger.transitions.values():
        for step in steps:
            if step.kind in loud:
                assert step.alert
            rose = step.from_ is not None and (step.from_.severity, step.to.severity) == (
                Severity.WARN,
                Severity.CRITICAL,
            )
            if rose:
                assert step.kind in (TransitionKind.ESCALATED, TransitionKind.REOPENED)
                assert step.to.state is State.OPEN


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_missing_data_change_neither_state_nor_severity(history, monitor) -> None:  # type: ignore[no-untyped-def]
    story, _, _ = live(history, monitor)
    before = story.snapshot
    after = story.sees("insufficient").snapshot
    assert after.counts == before.counts
    assert (after.incident and after.incident.standing) == (before.incident and before.incident.standing)


@settings(max_examples=100)
@given(HISTORIES, MONITORS, st.sampled_from(GRADES))
def test_repeated_and_late_evaluations_change_nothing(history, monitor, grade) -> None:  # type: ignore[no-untyped-def]
    story, _, _ = live(history, monitor)
    story.sees(grade)
    version = story.snapshot.monitor_version
    for minute in (story.minute, story.minute - 0.5, -5):
        late = an_evaluation("critical", at(minute), version=version)
        decision = decide(story.snapshot, Evaluated(late), late.evaluated_at)
        assert decision.outcome in (Outcome.REPEATED, Outcome.OLDER, Outcome.MONITOR_DISABLED)
        assert decision.snapshot == story.snapshot
        assert decision.transitions == ()


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_people_can_do_what_is_allowed_and_nothing_else(history, monitor) -> None:  # type: ignore[no-untyped-def]
    _, _, decided = live(history, monitor)
    for before, decision in decided:
        kinds = {step.kind for step in decision.transitions if step.actor in (ANA, BEN)}
        if TransitionKind.CLOSED in kinds and before.settings.enabled and decision.snapshot.settings.enabled:
            assert before.incident is not None
            assert Action.CLOSE in ALLOWED[before.incident.state]
        if decision.outcome in (Outcome.NOT_ALLOWED, Outcome.UNCHANGED):
            assert decision.snapshot == before


@settings(max_examples=100)
@given(HISTORIES, MONITORS)
def test_what_is_written_of_an_incident_holds_together(history, monitor) -> None:  # type: ignore[no-untyped-def]
    _, ledger, _ = live(history, monitor)
    for incident in ledger.incidents.values():
        assert incident.peak_psi >= incident.psi
        assert incident.live <= (incident.resolved_at is None and incident.closed_at is None)
        assert (incident.state is State.CLOSED) == (incident.closed_at is not None)
        assert (incident.state is State.RESOLVED) <= (incident.resolved_at is not None)
        assert (incident.latched_until is not None) <= (incident.state is State.CLOSED)
        assert incident.previous_incident_id is None or incident.previous_incident_id in ledger.incidents
