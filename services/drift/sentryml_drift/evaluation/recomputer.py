"""Evaluates an owned model at past times with other settings, for previews.

It goes back from the newest time on the settings' own grid as far as panes reach. It shares the event loop with
counting and evaluating, so it works in short slices, pauses as long after each, and serves one request at a time. After
MOST_WORK_SECONDS it answers with what it has. Within a slice no pane changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from time import thread_time

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.internal.recomputation import DesignEffect, Ended, Recompute, RecomputedEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.errors import SentryMLError, Unavailable
from sentryml_drift.domain.partials import partition_of
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.evaluation.design_effects import blocks_between, design_effects
from sentryml_drift.metrics import RECOMPUTED
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import OwnedModel, WindowSums, read_counts
from sentryml_drift.processor.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.histograms.pane_counts import merge_panes
from sentryml_statistics.time.normal_time import as_of
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.past_windows import Reach, plan_past_evaluation
from sentryml_statistics.time.schedule import delay_of, instants_back

SLICE_SECONDS = 0.01
MOST_WORK_SECONDS = 5.0
MOST_WAIT_SECONDS = 3.0

Take = Callable[[RecomputedEvaluation], None]
Rest = tuple[Ended, tuple[DesignEffect, ...]]


class NotOwned(SentryMLError):
    """The model belongs to another worker."""


class Recomputer:
    """Recomputes past evaluations of the models of this worker."""

    def __init__(
        self,
        processor: Processor,
        retention: Retention,
        grid: PaneGrid,
        settings: DriftSettings,
        clock: Clock = system_clock,
    ) -> None:
        self._processor, self._retention, self._grid = processor, retention, grid
        self._allowed_lateness, self._clock = settings.allowed_lateness, clock
        self._turn = asyncio.Lock()

    async def recompute(self, asked: Recompute, take: Take) -> Rest:
        """Give `take` the evaluations, newest first; return why there are no more, and the design effects.

        Raises:
            NotOwned: another worker has the model.
            Unavailable: not now, since this worker is still catching up, busy, or losing the model.
        """
        model_id = asked.monitor.model_id
        if not self._processor.holds_all() or not await self._processor.caught_up():
            raise Unavailable("this worker has not caught up with its input yet: try again in a few seconds")
        if not self._processor.owns(partition_of(model_id, HISTOGRAMS.partitions)):
            raise NotOwned(f"another worker owns the panes of {model_id}")
        model = self._processor.models.by_id.get(model_id)
        if model is None:
            return Ended.FIRST_SEEN, ()
        return await self.recompute_owned(
            model, asked, take, lambda: self._processor.models.by_id.get(model_id) is model
        )

    async def recompute_owned(
        self, model: OwnedModel, asked: Recompute, take: Take, still_ours: Callable[[], bool]
    ) -> Rest:
        """The same for an owned model, while it is `still_ours`; requests are served one at a time."""
        async with self._in_turn():
            ended = await self._go_back(model, asked, take, still_ours)
            return ended, await self._design_effects(model, asked.monitor)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(MOST_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as err:
            raise Unavailable("this worker is busy with other recomputations: try again in a few seconds") from err
        try:
            yield
        finally:
            self._turn.release()

    async def _go_back(self, model: OwnedModel, asked: Recompute, take: Take, still_ours: Callable[[], bool]) -> Ended:
        monitor, since = asked.monitor, asked.since.timestamp()
        past, pace = _PastEvaluations(self._grid, monitor, model), _Pace()
        newest = self._clock().timestamp() - self._allowed_lateness
        times = instants_back(self._grid, monitor.model_id, monitor.every_seconds, newest)
        for at in islice(times, asked.most):
            if at < since:
                return Ended.SINCE
            if not await pace.goes_on():
                return Ended.TIME
            if not still_ours():
                raise Unavailable("the model has just moved to another worker: try again in a few seconds")
            first_seen = model.facts().first_seen
            if first_seen is None or at <= first_seen:
                return Ended.FIRST_SEEN
            reach = Reach(self._clock().timestamp(), self._retention.kept_from(monitor.model_id), first_seen)
            found = past.at(at, at + self._allowed_lateness, reach)
            if found is None:
                return Ended.PANES
            take(found)
            RECOMPUTED.inc()
        return Ended.COUNT

    async def _design_effects(self, model: OwnedModel, monitor: Monitor) -> tuple[DesignEffect, ...]:
        pace, blocks = _Pace(), []
        since, until = self._retention.kept_from(monitor.model_id), self._clock().timestamp() - self._allowed_lateness
        for each in blocks_between(self._grid, monitor, since, until):
            if not await pace.goes_on():
                break
            blocks.append(merge_panes(map(read_counts, model.panes([each]).values())))
        return design_effects(monitor, blocks)


class _Pace:
    """Work in slices, with a rest as long after each, until there has been enough of it. Work is this thread's own CPU
    time: a busy machine must not cut answers short."""

    def __init__(self) -> None:
        self._worked, self._begun = 0.0, thread_time()

    async def goes_on(self) -> bool:
        """Rest if it is time to; whether to go on then."""
        spent = thread_time() - self._begun
        if spent >= SLICE_SECONDS:
            self._worked += spent
            await asyncio.sleep(spent)
            self._begun = thread_time()
        return self._worked < MOST_WORK_SECONDS


class _PastEvaluations:
    """Evaluates one model at past times; window sums are kept between them, apart from those of the evaluator."""

    def __init__(self, grid: PaneGrid, monitor: Monitor, model: OwnedModel) -> None:
        self._grid, self._monitor, self._model = grid, monitor, model
        self._delay = delay_of(grid, monitor.model_id, monitor.every_seconds)
        self._windows = WindowSums()
        self._newest_is_made = False

    def at(self, at: float, complete_at: float, reach: Reach) -> RecomputedEvaluation | None:
        """The evaluation at a time; None where panes do not reach back."""
        known = as_of(self._monitor.normal_time, at)
        monitor = self._monitor.model_copy(update={"normal_time": known})
        plan = plan_past_evaluation(self._grid, monitor, at, complete_at + self._delay, reach)
        if plan is None:
            return None
        evaluation = evaluate_model(self._grid, monitor, self._model, self._windows, at, plan.plan)
        if self._newest_is_made:
            thin = tuple(found.model_copy(update={"bins": ()}) for found in evaluation.signals)
            evaluation = evaluation.model_copy(update={"signals": thin})
        self._newest_is_made = True
        return RecomputedEvaluation(exact=plan.exact, evaluation=evaluation)
