"""Evaluates the models this worker owns, each on its own grid of times, and publishes what it finds.

An evaluation waits until the events of its last pane have had time to arrive (`settle`), and until the worker
has caught up with its input: a backlog must not look like a lack of events. A worker that was away evaluates
the newest due time, not every missed one, and says how many it left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import EVALUATIONS as EVALUATIONS_TOPIC
from sentryml_common.errors import Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.evaluation import WindowCounts, evaluate
from sentryml_drift.domain.pane_counts import merge_panes
from sentryml_drift.domain.panes import PaneGrid
from sentryml_drift.domain.schedule import due_at
from sentryml_drift.domain.windows import WindowPlan, windows_at
from sentryml_drift.metrics import EVALUATION_SECONDS, EVALUATIONS
from sentryml_drift.owned_models import OwnedModel
from sentryml_drift.processor import Processor
from sentryml_drift.settings import DriftSettings

log = get_logger(__name__)

LONGEST_TICK_SECONDS = 1.0


class Evaluator:
    """Evaluates each enabled model when it is due."""

    def __init__(
        self,
        processor: Processor,
        monitor_of: Callable[[str], Monitor | None],
        grid: PaneGrid,
        publisher: Publisher,
        settings: DriftSettings,
        clock: Clock = system_clock,
    ) -> None:
        self._processor, self._monitor_of, self._grid = processor, monitor_of, grid
        self._publisher, self._settings, self._clock = publisher, settings, clock
        self._evaluated: dict[str, float] = {}

    async def run(self) -> None:
        """Evaluate until cancelled."""
        tick = min(LONGEST_TICK_SECONDS, self._settings.fine_pane_seconds / 4)
        while True:
            await asyncio.sleep(tick)
            if not await self._processor.caught_up():
                continue
            now = self._clock().timestamp()
            for model_id, model in list(self._processor.models.by_id.items()):
                monitor = self._monitor_of(model_id)
                if monitor is not None and monitor.enabled:
                    await self._evaluate_if_due(model_id, model, monitor, now)

    async def _evaluate_if_due(self, model_id: str, model: OwnedModel, monitor: Monitor, now: float) -> None:
        due = due_at(self._grid, model_id, monitor.every_seconds, now - self._settings.settle)
        last, first_seen = self._evaluated.get(model_id), model.facts().first_seen
        if first_seen is None or due <= first_seen or (last is not None and due <= last):
            return  # before its first event there is nothing to be said of a model
        with EVALUATION_SECONDS.time():
            evaluation = self._evaluate(model_id, model, monitor, due, now)
        try:
            await self._publisher.publish([Record(EVALUATIONS_TOPIC.name, model_id.encode(), encode(evaluation))])
        except Unavailable as err:
            log.warning("evaluation_not_published", model_id=model_id, why=str(err))
            return  # still due: the next tick tries again
        self._evaluated[model_id] = due
        EVALUATIONS.labels(level=evaluation.level.value).inc()
        missed = round((due - last) / monitor.every_seconds) - 1 if last is not None else 0
        if missed > 0:
            log.warning("evaluations_left_out", model_id=model_id, count=missed, evaluated_at=evaluation.evaluated_at)

    def _evaluate(self, model_id: str, model: OwnedModel, monitor: Monitor, due: float, now: float) -> Evaluation:
        baseline, current = windows_at(self._grid, monitor, due, model.facts().first_seen, now)
        evaluated_at = datetime.fromtimestamp(due, UTC)
        return evaluate(model_id, monitor, evaluated_at, _counted(model, baseline), _counted(model, current))


def _counted(model: OwnedModel, plan: WindowPlan) -> WindowCounts:
    """A planned window with what is in exactly its panes."""
    panes = [counts for part in plan.cover.ranges for counts in model.counts(part.resolution, part.first, part.end)]
    return WindowCounts(plan, merge_panes(panes))
