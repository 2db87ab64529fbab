"""The state machine of incidents under any history, as rules: people and evaluations in any order, repeated, late
and superseded ones too.

A `World` is where the model lives: the pure function (tests/unit), or the service on PostgreSQL (tests/integration).
The rules see no more of it than anyone can look at, so what they find holds for both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol
from uuid import UUID, uuid5

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Actor, Cause, Severity, State, TransitionKind
from sentryml_lifecycle.events.on_action import Action, allowed
from sentryml_lifecycle.grades import Grade, grade_of
from sentryml_lifecycle.snapshot import LIVE, Incident, Snapshot
from tests.unit.incidents.alert_readers import LOUD, WORSE, Alerted, AnyTransition, assert_replays
from tests.unit.incidents.builders import (
    an_evaluation,
    at,
    hearing,
    measured,
    measured_slowly,
    proposing,
    quick,
    segmented,
    slowly,
)

GRADES = ("ok", "hold", "warn", "critical", "insufficient")
BY_DATA = {*LOUD, TransitionKind.DEESCALATED, TransitionKind.EVALUATION_PAUSED, TransitionKind.EVALUATION_RESUMED}

MONITORS = st.builds(
    quick,
    confirm_warn=st.integers(1, 3),
    confirm_critical=st.integers(1, 2),
    confirm_deescalate=st.integers(1, 3),
    confirm_resolve=st.integers(1, 3),
    resolve_after_seconds=st.sampled_from([0, 120]),
)
CHANGES = st.sampled_from(
    [{"warn": 0.12}, {"warn": 0.1}, {"latch_seconds": 60}, {"latch_seconds": 86_400}, {"bins": 20}, {"bins": 10}]
)

PSI = st.sampled_from([0.02, 0.09, 0.12, 0.15, 0.17, 0.21, 0.26, 0.35, 0.45, 0.8, 1.7])
Segments = dict[str, float | None]
SEGMENTS = st.dictionaries(st.sampled_from(["eu", "us"]), st.none() | PSI)

ABOUT_NORMAL = {Action.ACCEPT, Action.WAS_NORMAL, Action.UNDO}


@dataclass(frozen=True)
class Sight:
    """All that can be seen of a model: its state, its incidents by number, its steps as they are published."""

    snapshot: Snapshot
    incidents: tuple[Incident, ...]
    steps: tuple[AnyTransition, ...]

    @property
    def newest(self) -> Incident | None:
        return self.snapshot.incident


NOTHING = Sight(Snapshot(model_id="", monitor_version=0, settings=MonitorSettings()), (), ())


class World(Protocol):
    """Where one model lives."""

    actors: tuple[Actor, Actor]
    model_id: str

    def begin(self, settings: MonitorSettings) -> None:
        """Register the model."""

    def take(self, evaluation: Evaluation) -> None:
        """An evaluation arrives."""

    def ask(self, incident: Incident, action: Action, actor: Actor, now: datetime) -> bool:
        """Somebody asks for something; whether that was allowed."""

    def change(self, changes: dict[str, Any], now: datetime) -> None:
        """Somebody changes the monitor."""

    def change_reference(self, now: datetime) -> None:
        """Somebody has the reference made again."""

    def tick(self, now: datetime) -> None:
        """Time has passed."""

    def look(self) -> Sight:
        """What can be seen."""


class IncidentMachine(RuleBasedStateMachine):
    """Lives one model's life, and holds up what must be so after each event."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.minute = 0.0
        self.evaluations: list[Evaluation] = []
        self.sight = NOTHING
        self.alerted = Alerted()

    @property
    def now(self) -> datetime:
        return at(self.minute)

    @initialize(settings=MONITORS)
    def begins(self, settings: MonitorSettings) -> None:
        self.world.begin(settings)
        self.looks()

    # What happens.

    @rule(grade=st.sampled_from(GRADES), times=st.integers(1, 4))
    def sees(self, grade: str, times: int) -> None:
        for _ in range(times):
            self._sees(grade)

    @rule(grade=st.sampled_from(GRADES), slow=st.sampled_from(["ok", "hold", "warn"]), times=st.integers(1, 4))
    def sees_slowly(self, grade: str, slow: str, times: int) -> None:
        """With a comparison with the reference; where there is none yet, with a proposal of one."""
        for _ in range(times):
            self._sees(grade, slow)

    @rule(score=PSI, prediction=PSI, segments=SEGMENTS, slow=st.none() | PSI, times=st.integers(1, 3))
    def measures(self, score: float, prediction: float, segments: Segments, slow: float | None, times: int) -> None:
        """Two signals and some segments with any PSI, perhaps with a comparison with the reference."""
        for _ in range(times):
            self.minute += 1
            evaluation = segmented(measured(self.evaluation("ok"), score=score, prediction=prediction), **segments)
            in_force = self.sight.snapshot.normal_time.reference_id
            if slow is not None and in_force is not None:
                evaluation = measured_slowly(evaluation, in_force, score=slow, prediction=0.6 * slow)
            self.evaluates(evaluation)

    @rule(level=st.sampled_from(["ok", "warn", "insufficient_data"]), quiet=st.sampled_from([0.5, 20.0]))
    def predictions_come_or_not(self, level: str, quiet: float) -> None:
        """An evaluation with too little data for a PSI, which knows when the last prediction came in."""
        self.minute += 1
        before = self.sight
        self._take(hearing(self.evaluation("insufficient"), level, self.minute - quiet))
        after = self.looks()
        new = [step for step in after.steps[len(before.steps) :] if step.kind is not TransitionKind.EVALUATION_PAUSED]
        was, now = before.snapshot.silence, after.snapshot.silence
        if was.since is None and now.since is not None:
            assert level == "warn"
            assert [step.cause for step in new if step.alert] == [Cause.NO_PREDICTIONS]
            assert _standing(after.newest) != _standing(None)
            if before.newest is None or not before.newest.live:
                self.alerted = Alerted()
        elif was.since is not None and now.since is None:
            assert level == "ok"
            assert {step.cause for step in new} <= {Cause.PREDICTIONS_ARE_BACK}
        else:
            assert not new
        assert after.snapshot.counts == before.snapshot.counts
        assert after.snapshot.normal_time == before.snapshot.normal_time

    def evaluation(self, grade: str) -> Evaluation:
        """One of now, under the monitor in force."""
        return an_evaluation(grade, self.now, model_id=self.world.model_id, version=self._version(self.sight))

    def _sees(self, grade: str, slow: str | None = None) -> None:
        self.minute += 1
        evaluation = self.evaluation(grade)
        if slow is not None and grade != "insufficient":
            in_force = self.sight.snapshot.normal_time.reference_id
            new = uuid5(evaluation.evaluation_id, "reference")
            evaluation = proposing(evaluation, new) if in_force is None else slowly(evaluation, slow, in_force)
        self.evaluates(evaluation)

    def evaluates(self, evaluation: Evaluation) -> None:
        """Take an evaluation, and look at what it led to."""
        before = self.sight
        self._take(evaluation)
        after = self.looks()
        new = after.steps[len(before.steps) :]
        grade = grade_of(evaluation, before.snapshot.settings)
        if not before.snapshot.settings.enabled:
            assert after == before
        elif grade is Grade.INSUFFICIENT:
            assert [step.kind for step in new] in ([], [TransitionKind.EVALUATION_PAUSED])
            assert after.snapshot.counts == before.snapshot.counts
            assert _standing(after.newest) == _standing(before.newest)
        else:
            self.alerted.read(evaluation, after.snapshot, new)
            self._assert_that_nothing_is_hidden()
        _assert_that_a_rise_is_reported_once(before, after, new)
        if any(step.kind is TransitionKind.RESOLVED for step in new):
            assert grade is Grade.OK
            assert not after.snapshot.drifts_slowly
        if grade is Grade.OK:
            begun = len(before.snapshot.normal_time.excluded), before.snapshot.normal_time.drift_lasts
            still = len(after.snapshot.normal_time.excluded), after.snapshot.normal_time.drift_lasts
            assert still in (begun, (begun[0], False)), "slow drift is no part of normal time"

    def _assert_that_nothing_is_hidden(self) -> None:
        """No signal of a live incident, acknowledged or not, is for long enough at a level, or at twice a PSI, that no
        alert has shown."""
        newest, settings = self.sight.newest, self.sight.snapshot.settings
        if newest is not None and newest.live:
            assert all(times < settings.confirm_critical for times in self.alerted.more.values()), self.alerted
        else:
            self.alerted.more.clear()

    @precondition(lambda self: self.evaluations)
    @rule(data=st.data())
    def sees_again(self, data: st.DataObject) -> None:
        """A replay of any stretch of what was seen changes nothing."""
        first = data.draw(st.integers(0, len(self.evaluations) - 1))
        before = self.sight
        for evaluation in self.evaluations[first : first + 5]:
            self.world.take(evaluation)
        assert self.looks() == before

    @precondition(lambda self: self.sight.snapshot.last_evaluated_at is not None)
    @rule(grade=st.sampled_from(GRADES), earlier=st.sampled_from([0.0, 0.5, 1_000.0]))
    def sees_late(self, grade: str, earlier: float) -> None:
        """An evaluation of another time that is not after the last, or of an earlier version, decides nothing."""
        before = self.sight
        assert before.snapshot.last_evaluated_at is not None
        when = before.snapshot.last_evaluated_at - timedelta(minutes=earlier)
        version = self._version(before)
        self.world.take(an_evaluation(grade, when, model_id=self.world.model_id, version=version))
        if version > 1:
            self.minute += 1
            self.world.take(an_evaluation(grade, self.now, model_id=self.world.model_id, version=version - 1))
        assert self.looks() == before

    @precondition(lambda self: self.sight.newest is not None)
    @rule(action=st.sampled_from(Action), who=st.sampled_from([0, 1]))
    def somebody_asks(self, action: Action, who: int) -> None:
        self.minute += 1
        before = self.sight
        assert before.newest is not None
        done = self.world.ask(before.newest, action, self.world.actors[who], self.now)
        after = self.looks()
        new = after.steps[len(before.steps) :]
        assert done or not new
        assert done or action is Action.UNDO or action not in allowed(before.newest)
        assert all(step.alert == (action in ABOUT_NORMAL) for step in new)
        assert not {step.kind for step in new} & (
            BY_DATA - ({TransitionKind.REOPENED} if action is Action.UNDO else set())
        )
        if new and action is Action.CLOSE:
            assert before.newest.state in (State.ACKNOWLEDGED, State.RESOLVED)
        if not new:
            assert after == before
        revision = before.snapshot.normal_time.revision
        assert after.snapshot.normal_time.revision == revision + (action in ABOUT_NORMAL and bool(new))

    @rule(minutes=st.sampled_from([1.0, 30.0, 61.0, 24 * 60.0, 8 * 24 * 60.0]))
    def time_passes(self, minutes: float) -> None:
        self.minute += minutes
        before = self.sight
        self.world.tick(self.now)
        after = self.looks()
        if before.newest is None or before.newest.state is not State.RESOLVED:
            assert after == before

    @rule(changes=CHANGES)
    def monitor_changes(self, changes: dict[str, Any]) -> None:
        self.minute += 1
        before = self.sight
        self.world.change(changes, self.now)
        self.alerted.more.clear()
        after = self.looks()
        assert (after.newest and after.newest.state) == (before.newest and before.newest.state)

    @rule()
    def reference_is_forgotten(self) -> None:
        self.minute += 1
        before = self.sight
        self.world.change_reference(self.now)
        if before.snapshot.normal_time.reference_id is not None:
            self.alerted.shown = {key: each for key, each in self.alerted.shown.items() if not key[2]}
            self.alerted.more = Counter({key: each for key, each in self.alerted.more.items() if not key[2]})
        after, normal = self.looks(), before.snapshot.normal_time
        if normal.reference_id is None:
            assert after == before
        else:
            assert after.snapshot.normal_time == normal.model_copy(
                update={"reference_id": None, "revision": normal.revision + 1}
            )
            assert after.snapshot.counts == before.snapshot.counts
            assert not after.snapshot.drifts_slowly
        assert _standing(after.newest) == _standing(before.newest)

    @rule()
    def monitor_switched(self) -> None:
        self.minute += 1
        before = self.sight
        self.world.change({"enabled": not before.snapshot.settings.enabled}, self.now)
        assert not (after := self.looks()).newest or not after.newest.live or after.snapshot.settings.enabled

    # What must be so.

    @invariant()
    def at_most_one_incident_is_live_and_it_is_the_newest(self) -> None:
        sight = self.sight
        live = [incident for incident in sight.incidents if incident.live]
        assert live in ([], [sight.newest])
        assert sight.newest == (sight.incidents[-1] if sight.incidents else None)

    @invariant()
    def timelines_say_all_that_is_stored(self) -> None:
        sight = self.sight
        timelines: defaultdict[UUID, list[AnyTransition]] = defaultdict(list)
        for step in sight.steps:
            timelines[step.incident_id].append(step)
        assert list(timelines) == [incident.incident_id for incident in sight.incidents]
        for incident in sight.incidents:
            _assert_one_life(timelines[incident.incident_id])
            assert_replays(timelines[incident.incident_id], incident)

    @invariant()
    def what_is_stored_of_an_incident_holds_together(self) -> None:
        known = set()
        for incident in self.sight.incidents:
            assert incident.peak_psi >= incident.psi
            assert incident.peak_at >= incident.opened_at
            severities = {step.to.severity for step in self.sight.steps if step.incident_id == incident.incident_id}
            assert incident.worst_severity is (Severity.CRITICAL if Severity.CRITICAL in severities else Severity.WARN)
            assert (incident.latched_until is not None) <= (
                incident.state is State.CLOSED and incident == self.sight.newest
            )
            assert incident.previous_incident_id in {None, *known}
            known.add(incident.incident_id)

    def looks(self) -> Sight:
        """Look again; timelines only grow."""
        before, self.sight = self.sight, self.world.look()
        assert self.sight.steps[: len(before.steps)] == before.steps
        return self.sight

    def _take(self, evaluation: Evaluation) -> None:
        self.evaluations.append(evaluation)
        self.world.take(evaluation)

    @staticmethod
    def _version(sight: Sight) -> int:
        return sight.snapshot.monitor_version


def _standing(incident: Incident | None) -> object:
    return incident and (incident.incident_id, incident.standing)


def _assert_that_a_rise_is_reported_once(before: Sight, after: Sight, new: tuple[AnyTransition, ...]) -> None:
    """From quiet to live, or from warn to critical: one step says so, aloud, and the incident is open again."""
    was, now = before.newest, after.newest
    if now is None or not now.live:
        return
    if any(step.kind in WORSE for step in new):
        assert (now.state, now.acknowledged_by) == (State.OPEN, ())
    same = was is not None and was.live
    if not same or (was and was.severity, now.severity) == (Severity.WARN, Severity.CRITICAL):
        reported = [step for step in new if step.alert and step.incident_id == now.incident_id]
        requested = {TransitionKind.ESCALATED} if same else {TransitionKind.OPENED, TransitionKind.REOPENED}
        assert len(reported) == 1
        assert reported[0].kind in requested
        assert now.state is State.OPEN
        assert now.acknowledged_by == ()


def _assert_one_life(steps: list[AnyTransition]) -> None:
    """It opens once, first; each step begins where the one before ended; it resolves only while live; rises alert."""
    assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
    assert [step.kind is TransitionKind.OPENED for step in steps] == [True] + [False] * (len(steps) - 1)
    assert steps[0].from_ is None
    for before, after in pairwise(steps):
        assert after.from_ == before.to
        assert after.at >= before.at
        assert (after.kind is TransitionKind.RESOLVED) <= (before.to.state in LIVE)
        undone = after.cause is Cause.UNDONE
        assert (after.kind is TransitionKind.REOPENED) <= (before.to.state is State.RESOLVED or undone)
        assert before.to.state is not State.CLOSED or after.kind is TransitionKind.NOTED or undone
    assert all(step.alert for step in steps if step.kind in LOUD)
