"""One monitor over the events of one model: each evaluation at the time at which the processor would have made it, and
what it decides. What people would have done is not in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.reference import Reference
from sentryml_lifecycle.backtest.counted import Block, CountedEvents
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, Ticked, decide
from sentryml_statistics.comparison.activity import activity_at
from sentryml_statistics.comparison.from_panes import Seen, evaluate_panes
from sentryml_statistics.comparison.slow_drift import with_slow_drift
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.plan import plan_evaluation
from sentryml_statistics.time.schedule import compares_slowly, delay_of, instants_back

ALLOWED_LATENESS_SECONDS = 7.0
"""What the processor's evaluations wait for by default."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Step:
    """An evaluation, and what was decided: first of the time that had passed, then of the evaluation."""

    evaluation: Evaluation
    decisions: tuple[Decision, Decision]


class Backtest:
    """A model that is watched from its first event to its last."""

    def __init__(self, model_id: str, settings: MonitorSettings, counted: CountedEvents) -> None:
        self._counted, self._grid = counted, counted.grid
        self._snapshot = Snapshot(model_id=model_id, monitor_version=VERSION, settings=settings)
        self._monitor = Monitor(**dict(settings), model_id=model_id, version=VERSION)
        self._baseline, self._current = _kept(), _kept()
        self._references: dict[UUID, Reference] = {}
        self._later = delay_of(self._grid, model_id, settings.every_seconds) + ALLOWED_LATENESS_SECONDS

    @property
    def instants(self) -> list[float]:
        """When it is evaluated, oldest first."""
        first, last, every = self._counted.first_seen, self._counted.last_seen, self._monitor.every_seconds
        due = last + self._later - ALLOWED_LATENESS_SECONDS
        found = instants_back(self._grid, self._monitor.model_id, every, first, due)
        return [at for micros in reversed(found) if first < (at := micros / 1_000_000) <= last]

    def run(self) -> Iterator[Step]:
        """All evaluations."""
        for at in self.instants:
            yield self.step(at)

    def step(self, at: float) -> Step:
        """The evaluation at an instant, later than those before."""
        evaluation = self._evaluate(self._monitor.model_copy(update={"normal_time": self._snapshot.normal_time}), at)
        ticked = decide(self._snapshot, Ticked(), evaluation.evaluated_at)
        decision = decide(ticked.snapshot, Evaluated(evaluation), evaluation.evaluated_at)
        self._snapshot = decision.snapshot
        if evaluation.new_reference is not None:
            self._references[evaluation.new_reference.reference_id] = evaluation.new_reference
        return Step(evaluation, (ticked, decision))

    def _evaluate(self, monitor: Monitor, at: float) -> Evaluation:
        counted = self._counted
        plan = plan_evaluation(self._grid, monitor, at, counted.first_seen, at + self._later)
        baseline = counted.window(plan.baseline.cover, self._baseline)
        current = counted.window(plan.current.cover, self._current)
        scored = counted.first_score is not None and counted.first_score < at
        seen = Seen(counted.first_seen, counted.first_score if scored else None)
        found = evaluate_panes(self._grid, monitor, at, plan, seen, (baseline, current), counted.counts_of)
        evaluation = found.evaluation
        if compares_slowly(self._grid, monitor, at):
            reference = None
            if monitor.normal_time.reference_id is not None:
                reference = self._references.get(monitor.normal_time.reference_id)
            evaluation = with_slow_drift(evaluation, monitor, found.baseline, found.current, reference)
        if not monitor.silence:
            return evaluation
        activity = activity_at(self._grid, monitor, counted, at, at, counted.first_seen)
        return evaluation.model_copy(update={"activity": activity})


def _kept() -> KeptSum[Block, PaneCounts]:
    return KeptSum(lambda counts: counts)
