"""Evaluates the models this worker owns, each on its own grid of times, and publishes what it finds.

An evaluation waits until the events of its last pane have had time to arrive (`allowed_lateness`), and until the worker
has taken in what its input held then: a backlog, or a pause of the process, must not look like a lack of events. The
evaluations of a round are published as one with the time until which the partition's models have now been evaluated. So
the next owner continues from there: after a pause it evaluates the newest due time, not every missed one, and logs how
many it skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.topics import EVALUATIONS as EVALUATIONS_TOPIC
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import EVALUATION_DELAY, EVALUATION_SECONDS, EVALUATIONS, EVALUATIONS_SKIPPED
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import OwnedModel
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.table import Table
from sentryml_statistics.comparison.activity import activity_at
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts
from sentryml_statistics.comparison.slow_drift import with_slow_drift
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import plan_evaluation
from sentryml_statistics.time.schedule import compares_slowly, due_at, instants_between

log = get_logger(__name__)

LONGEST_TICK_SECONDS = 1.0


class Evaluator:
    """Evaluates each enabled model when it is due."""

    def __init__(
        self,
        processor: Processor,
        monitor_of: Callable[[str], Monitor | None],
        in_force_since: Callable[[str], float | None],
        reference_of: Callable[[str], Reference | None],
        grid: PaneGrid,
        settings: DriftSettings,
        clock: Clock = system_clock,
    ) -> None:
        """`in_force_since` says when a model's monitor was made or changed (epoch seconds)."""
        self._processor, self._monitor_of, self._grid = processor, monitor_of, grid
        self._in_force_since, self._reference_of = in_force_since, reference_of
        self._settings, self._clock = settings, clock
        self._asked: tuple[float, Mapping[int, int]] = 0.0, {}
        """When the ends of the input were asked for, and what they were."""

    async def run(self) -> None:
        """Evaluate until cancelled."""
        tick = min(LONGEST_TICK_SECONDS, self._settings.fine_pane_seconds / 4)
        while True:
            await asyncio.sleep(tick)
            until = await self._complete_until()
            if until is None:
                continue
            for partition, table in list(self._processor.partitions.tables.items()):
                await self._round(partition, table, until)

    async def _complete_until(self) -> float | None:
        """The time until which all events are in: the allowed lateness before the ends of the input were asked for that
        have been reached since. None where they have not been reached yet."""
        if not self._processor.holds_all():
            return None
        asked_at, ends = self._asked
        reached = await self._processor.has_reached(ends)
        if reached or ends.keys() != self._processor.partitions.owned:
            self._asked = self._clock().timestamp(), await self._processor.ends()
        return asked_at - self._settings.allowed_lateness if reached else None

    async def _round(self, partition: int, table: Table, until: float) -> None:
        """Evaluate those models of a partition that have become due since the last round, up to a time until which all
        events are in."""
        since = table.place.evaluated_until
        records: list[Record] = []
        skipped, oldest, pace = 0, until, Pacer()
        for model_id, model in self._processor.models.of_partition(partition):
            await pace()
            monitor = self._monitor_of(model_id)
            if monitor is None or not monitor.enabled:
                continue
            due = due_at(self._grid, model_id, monitor.every_seconds, until)
            last = None if since is None else due_at(self._grid, model_id, monitor.every_seconds, since)
            if last is not None and due <= last:
                continue
            facts = model.facts()
            evaluation = self._evaluate(model, facts, monitor, due)
            if evaluation is not None:
                records.append(Record(EVALUATIONS_TOPIC.name, model_id.encode(), encode(evaluation)))
                oldest = min(oldest, due)
                skipped += self._skipped(model, facts, monitor, table, due)
        if records:
            await self._processor.publish(partition, records, until)
            EVALUATION_DELAY.set(self._clock().timestamp() - self._settings.allowed_lateness - oldest)
        table.examined_until = until
        if skipped:
            EVALUATIONS_SKIPPED.inc(skipped)
            log.warning("evaluations_skipped", partition=partition, count=skipped, since=since, until=until)

    def _skipped(self, model: OwnedModel, facts: ModelFacts, monitor: Monitor, table: Table, due: float) -> int:
        """How many evaluations of a model before that at `due` were due and have not been made. None was while it had
        another monitor, none before its first event; and of a model that is not from the table, none before this worker
        had it."""
        examined = table.examined_until
        since = table.place.evaluated_until if examined is None and model.recovered else examined
        if since is None:
            return 0
        last = due_at(self._grid, monitor.model_id, monitor.every_seconds, since)
        after = max(last, self._in_force_since(monitor.model_id) or 0.0, facts.first_seen or due)
        return instants_between(monitor.every_seconds, after, due)

    def _evaluate(self, model: OwnedModel, facts: ModelFacts, monitor: Monitor, due: float) -> Evaluation | None:
        """A model's evaluation at `due`; None before its first event, when there is nothing to be said of it."""
        if facts.first_seen is None or due <= facts.first_seen:
            return None
        with EVALUATION_SECONDS.time():
            plan = plan_evaluation(self._grid, monitor, due, facts.first_seen, self._clock().timestamp())
            slow = self._slow_drift if compares_slowly(self._grid, monitor, due) else None
            slices = model.sums_of_slices()
            evaluation = evaluate_model(self._grid, monitor, model, model.windows, due, plan, slow, facts, slices)
            read_until = self._processor.read_until(model.partition)
            if monitor.silence and read_until is not None:
                activity = activity_at(self._grid, monitor, model, due, read_until, facts.first_seen)
                evaluation = evaluation.model_copy(update={"activity": activity})
        EVALUATIONS.labels(level=evaluation.level.value).inc()
        return evaluation

    def _slow_drift(
        self, evaluation: Evaluation, monitor: Monitor, baseline: Baseline, current: WindowCounts
    ) -> Evaluation:
        """With the comparison with the reference; without it where the reference is none of ours to read."""
        try:
            return with_slow_drift(evaluation, monitor, baseline, current, self._reference_of(monitor.model_id))
        except UndecodableMessage as err:
            log.warning("reference_unreadable", model_id=monitor.model_id, reason=str(err))
            return evaluation
