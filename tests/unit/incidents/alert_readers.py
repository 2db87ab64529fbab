"""What people know who read every step: where an incident stands, and what its alerts have shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sentryml_common.contracts.evaluation import RANK, Evaluation, Level, Signal
from sentryml_common.contracts.transition import Actor, Severity, State, TransitionKind
from sentryml_common.contracts.transition import Transition as PublishedTransition
from sentryml_lifecycle.snapshot import Incident, Snapshot, Transition

WORSE = {TransitionKind.ESCALATED, TransitionKind.WORSENED}
LOUD = {TransitionKind.OPENED, *WORSE, TransitionKind.REOPENED, TransitionKind.RESOLVED}

AnyTransition = Transition | PublishedTransition


@dataclass
class Replay:
    """What a timeline says of its incident, read from its first step on."""

    state: State = State.OPEN
    severity: Severity = Severity.WARN
    sequence: int = 0
    reopened: int = 0
    last_kind: TransitionKind = TransitionKind.OPENED
    opened_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    acknowledged_by: tuple[Actor, ...] = field(default_factory=tuple)

    def read(self, step: AnyTransition) -> None:
        self.state, self.severity, self.sequence = step.to.state, step.to.severity, step.sequence
        if step.kind is not TransitionKind.NOTED:
            self.last_kind = step.kind
        match step.kind:
            case TransitionKind.OPENED:
                self.opened_at = step.at
            case TransitionKind.ACKNOWLEDGED:
                self.acknowledged_by = (*self.acknowledged_by, step.actor)
            case TransitionKind.UNACKNOWLEDGED | TransitionKind.ESCALATED | TransitionKind.WORSENED:
                self.acknowledged_by = ()
            case TransitionKind.RESOLVED:
                self.resolved_at, self.acknowledged_by = step.at, ()
            case TransitionKind.REOPENED:
                self.reopened, self.acknowledged_by = self.reopened + 1, ()
                self.resolved_at = self.closed_at = None
            case TransitionKind.CLOSED:
                self.closed_at = step.at


Key = tuple[Signal, str | None, bool]
"""A signal, the segment that it is of (None: all predictions), and whether it is compared with the reference."""


@dataclass
class Alerted:
    """What alerts of the newest incident have shown of each signal, as people would keep it: the highest level and the
    latest PSI; and for how many evaluations in a row there was more to say. Who knows that all predictions drift
    knows it of each segment."""

    shown: dict[Key, tuple[Level, float]] = field(default_factory=dict)
    more: Counter[Key] = field(default_factory=Counter)

    def read(self, evaluation: Evaluation, after: Snapshot, new: Sequence[AnyTransition]) -> None:
        """Take in an evaluation that was not ignored, and the steps that it led to."""
        found = _drifting(evaluation, after)
        kinds = {step.kind for step in new}
        if kinds & {TransitionKind.OPENED, TransitionKind.REOPENED} and found:
            self.shown, self.more = {}, Counter()
        if kinds & (LOUD - {TransitionKind.RESOLVED}):
            for key, (level, psi) in found.items():
                known = self.shown.get(key, (level, psi))[0]
                self.shown[key] = max(known, level, key=RANK.__getitem__), psi
        for key in {*self.more, *found}:
            if evaluation.slow_drift or not key[2]:
                self.more[key] = self.more[key] + 1 if key in found and self._is_more(key, *found[key]) else 0

    def _is_more(self, key: Key, level: Level, psi: float) -> bool:
        signal, _, slow = key
        known = [self.shown[each][0] for each in {key, (signal, None, slow)} if each in self.shown]
        if not known or RANK[level] > max(RANK[each] for each in known):
            return True
        return key in self.shown and psi >= 2 * self.shown[key][1]


def _drifting(evaluation: Evaluation, snapshot: Snapshot) -> dict[Key, tuple[Level, float]]:
    found = {(each.signal, each.segment, False): each for each in evaluation.all_signals if each.reason is None}
    if evaluation.slow_drift is not None and snapshot.drifts_slowly:
        found |= {(each.signal, None, True): each for each in evaluation.slow_drift.signals}
    return {key: (each.level, each.psi or 0.0) for key, each in found.items() if each.level is not Level.OK}


def assert_replays(steps: Sequence[AnyTransition], incident: Incident) -> None:
    """Who reads the timeline knows what is stored, whether people or data led there."""
    replay = Replay()
    for step in steps:
        replay.read(step)
    for name in Replay.__dataclass_fields__:
        assert getattr(incident, name) == getattr(replay, name), name
