"""SentryML's own rules: windows, evaluations and incidents as drift and incidents make them, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from bench.real.alarms import Alarms
from bench.real.counting import GRID, Counter
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import DAY, MINUTE, Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.transition import TransitionKind
from sentryml_lifecycle.grades import Grade
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, decide
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.comparison.from_panes import Seen, evaluate_panes
from sentryml_statistics.comparison.slow_drift import with_slow_drift
from sentryml_statistics.time.panes import Resolution
from sentryml_statistics.time.plan import EvaluationPlan, plan_evaluation
from sentryml_statistics.time.schedule import compares_slowly
from sentryml_statistics.time.windows import PaneRange, WindowPlan, covering, existed

EVERY = 30 * MINUTE
REFERENCE_DAYS = 28
DRIFTING = (Grade.WARN, Grade.CRITICAL)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the current window is compared with: normal time or, `rolling`, all time; `fixed`: the first four weeks.
    `slow`: a reference of the first week shows slow drift."""

    name: str
    season: bool = False
    rolling: bool = False
    fixed: bool = False
    slow: bool = False
    every: float = EVERY

    def monitor(self) -> Monitor:
        """The default monitor, with or without the seasonal check."""
        season = {} if self.season else {"season_seconds": None}
        return Monitor(model_id="flights", version=1, every_seconds=self.every, **season)


OURS = Rule("ours", season=True, slow=True)
RULES = (
    OURS,
    Rule("ours without slow drift", season=True),
    Rule("ours without the season"),
    Rule("rolling baseline of all time", rolling=True),
    Rule("fixed reference, PSI 0.1 / 0.2", rolling=True, fixed=True),
)


@dataclass(slots=True)
class Watch:
    """One model under one rule; `snapshots` are kept at the beginning of each day, to start again from there."""

    rule: Rule
    counter: Counter
    alarms: Alarms = field(default_factory=Alarms)
    snapshots: dict[float, Snapshot] = field(default_factory=dict)
    references: dict[UUID, Reference] = field(default_factory=dict)

    def run(self, since: float, until: float, snapshot: Snapshot | None = None) -> Iterator[float]:
        """Evaluate the model at each due time after `since` up to `until`; gives the times."""
        monitor = self.rule.monitor()
        snapshot = snapshot or Snapshot("flights", monitor.version, monitor)
        self.alarms.live = snapshot.incident is not None and snapshot.incident.live
        first_seen = float(self.counter.events.times[0])
        for at in np.arange(since + self.rule.every, until + 1, self.rule.every).tolist():
            in_force = monitor.model_copy(update={"normal_time": snapshot.normal_time})
            snapshot = self._evaluate(in_force, snapshot, at, first_seen)
            if at % DAY == 0:
                self.snapshots[at] = snapshot
            yield at

    def _evaluate(self, monitor: Monitor, snapshot: Snapshot, at: float, first_seen: float) -> Snapshot:
        slow = self._slow_drift if self.rule.slow and compares_slowly(GRID, monitor, at) else None
        evaluation = evaluation_at(self.counter, monitor, at, first_seen, reference if self.rule.fixed else None, slow)
        if evaluation.new_reference is not None:
            self.references[evaluation.new_reference.reference_id] = evaluation.new_reference
        decision = decide(snapshot, Evaluated(evaluation), evaluation.evaluated_at)
        self.alarms.evaluated.append(at)
        if decision.snapshot.last_grade in DRIFTING:
            self.alarms.drifting.append(at)
        for each in decision.transitions:
            if (noted := _NOTED.get(each.kind)) is not None:
                noted(self.alarms).append(at)
        return replace(decision.snapshot, normal_time=NormalTime()) if self.rule.rolling else decision.snapshot

    def _slow_drift(
        self, evaluation: Evaluation, monitor: Monitor, baseline: Baseline, current: WindowCounts
    ) -> Evaluation:
        in_force = monitor.normal_time.reference_id
        frozen = None if in_force is None else self.references[in_force]
        return with_slow_drift(evaluation, monitor, baseline, current, frozen)


_NOTED: dict[TransitionKind, Callable[[Alarms], list[float]]] = {
    TransitionKind.OPENED: lambda alarms: alarms.opened,
    TransitionKind.REOPENED: lambda alarms: alarms.reopened,
    TransitionKind.RESOLVED: lambda alarms: alarms.over,
}


def evaluation_at(
    counter: Counter,
    monitor: Monitor,
    at: float,
    first_seen: float,
    baseline_of: Callable[[Counter, EvaluationPlan, float], Baseline] | None = None,
    slow: Callable[[Evaluation, Monitor, Baseline, WindowCounts], Evaluation] | None = None,
) -> Evaluation:
    """The evaluation that drift would make at a time, from the panes of that time."""
    plan = plan_evaluation(GRID, monitor, at, first_seen, at)
    held, current = counter.of(plan.baseline.cover), counter.of(plan.current.cover)
    if baseline_of is None:
        seen = Seen(first_seen, first_seen)
        found = evaluate_panes(GRID, monitor, at, plan, seen, (held, current), lambda cover: counter.of(cover).counts)
        return found.evaluation if slow is None else slow(found.evaluation, monitor, found.baseline, found.current)
    baseline, coverage = baseline_of(counter, plan, first_seen), existed(plan.current.spans[0], first_seen)
    compared = WindowCounts(plan.current, current.counts, coverage)
    return evaluate(monitor.model_id, monitor, datetime.fromtimestamp(at, UTC), baseline, compared)


def reference(counter: Counter, plan: EvaluationPlan, first_seen: float) -> Baseline:
    """The first four weeks as a baseline; none of them before they are over."""
    start = first_seen // DAY * DAY
    end = start + REFERENCE_DAYS * DAY
    panes = PaneRange(Resolution.COARSE, GRID.pane_of(start, Resolution.COARSE), GRID.pane_of(end, Resolution.COARSE))
    over = plan.current.cover.end > end
    cover = covering(GRID, [panes])
    return Baseline(WindowPlan(cover, ((start, end),)), counter.of(cover).counts, 1.0 if over else 0.0)
