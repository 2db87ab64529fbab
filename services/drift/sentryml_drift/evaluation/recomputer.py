"""Evaluates an owned model over its past with other settings, for previews and advice.

It begins as early as panes reach, and goes on to the newest time on the settings' own grid. It shares the event loop
with counting and evaluating, so it works in short slices, pauses as long after each, and serves one request at a time.
Where all times would take more than MOST_WORK_SECONDS, it leaves some out, evenly: the answer says how far apart they
are. Within a slice no pane changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from math import ceil
from time import thread_time

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.internal.recomputation import (
    DesignEffect,
    Ended,
    Recompute,
    Recomputed,
    RecomputedEvaluation,
)
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.errors import SentryMLError, Unavailable
from sentryml_drift.domain.partials import partition_of
from sentryml_drift.evaluation.design_effects import blocks_between, design_effects
from sentryml_drift.evaluation.past_evaluations import PastEvaluations
from sentryml_drift.metrics import RECOMPUTED
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import OwnedModel, read_counts
from sentryml_drift.processor.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.histograms.pane_counts import merge_panes
from sentryml_statistics.time.panes import PaneGrid, micros
from sentryml_statistics.time.past_windows import Reach
from sentryml_statistics.time.schedule import instants_back

SLICE_SECONDS = 0.01
MOST_WORK_SECONDS = 5.0
MOST_WAIT_SECONDS = 3.0
HEAD_START = 0.1
"""The part of the work after which it is known what an evaluation takes."""


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

    async def recompute(self, asked: Recompute) -> Recomputed:
        """The evaluations of a model's past with other settings, and its design effects.

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
            return Recomputed(evaluations=(), ended=Ended.FIRST_SEEN, every_seconds=asked.monitor.every_seconds)
        return await self.recompute_owned(model, asked, lambda: self._processor.models.by_id.get(model_id) is model)

    async def recompute_owned(self, model: OwnedModel, asked: Recompute, still_ours: Callable[[], bool]) -> Recomputed:
        """The same for an owned model, while it is `still_ours`; requests are served one at a time."""
        async with self._in_turn():
            found, ended = await self._go_forward(model, asked, still_ours)
            effects = await self._design_effects(model, asked.monitor)
        every = _widest([each.evaluation.evaluated_at for each in found]) or asked.monitor.every_seconds
        return Recomputed(evaluations=tuple(found), ended=ended, every_seconds=every, design_effects=effects)

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

    async def _go_forward(
        self, model: OwnedModel, asked: Recompute, still_ours: Callable[[], bool]
    ) -> tuple[list[RecomputedEvaluation], Ended]:
        monitor, lateness = asked.monitor, self._allowed_lateness
        past, pace = PastEvaluations(self._grid, monitor, model), _Pace()
        oldest, ended = self._begins(model, asked)
        newest = self._clock().timestamp() - lateness
        times = instants_back(self._grid, monitor.model_id, monitor.every_seconds, oldest, newest)
        steps, left = _Steps(len(times), asked.most), len(times) - 1
        found: list[RecomputedEvaluation] = []
        while left >= 0:
            await pace.rest()
            if not still_ours():
                raise Unavailable("the model has just moved to another worker: try again in a few seconds")
            first_seen, at = model.facts().first_seen, times[left] / micros(1)
            if first_seen is None:
                return [], Ended.FIRST_SEEN
            reach = Reach(self._clock().timestamp(), self._retention.kept_from(monitor.model_id), first_seen)
            evaluation = past.at(at, at + lateness, reach) if at > first_seen else None
            if evaluation is None:
                found, ended = [], Ended.PANES if at > first_seen else Ended.FIRST_SEEN
            else:
                found[-1:] = [*map(_thin, found[-1:]), evaluation]
                RECOMPUTED.inc()
            left -= min(left, steps.next(pace.worked, left)) or 1
        return found, ended

    def _begins(self, model: OwnedModel, asked: Recompute) -> tuple[float, Ended]:
        """From when on there can be evaluations (epoch seconds), and why not before."""
        first_seen = model.facts().first_seen or 0.0
        kept_from, since = self._retention.kept_from(asked.monitor.model_id), asked.since.timestamp()
        if first_seen >= kept_from:
            return max(since, first_seen), Ended.SINCE if since > first_seen else Ended.FIRST_SEEN
        reaches = kept_from + asked.monitor.reach_seconds
        return max(since, reaches), Ended.SINCE if since > reaches else Ended.PANES

    async def _design_effects(self, model: OwnedModel, monitor: Monitor) -> tuple[DesignEffect, ...]:
        pace, blocks = _Pace(), []
        since, until = self._retention.kept_from(monitor.model_id), self._clock().timestamp() - self._allowed_lateness
        for each in blocks_between(self._grid, monitor, since, until):
            await pace.rest()
            if pace.worked >= MOST_WORK_SECONDS:
                break
            blocks.append(merge_panes(map(read_counts, model.panes([each]).values())))
        return design_effects(monitor, blocks)


class _Pace:
    """Work in slices, with a rest as long after each. What was `worked` is this thread's own CPU time: a busy machine
    must not cut answers short."""

    def __init__(self) -> None:
        self.worked, self._begun = 0.0, thread_time()

    async def rest(self) -> None:
        """Rest if it is time to."""
        spent = thread_time() - self._begun
        if spent >= SLICE_SECONDS:
            self.worked += spent
            await asyncio.sleep(spent)
            self._begun = thread_time()


class _Steps:
    """How many times of a grid to go on by, so that there are at most `most` evaluations, and time suffices."""

    def __init__(self, times: int, most: int) -> None:
        self._least = -(-times // most)
        self._made, self._first = 0, 0.0

    def next(self, worked: float, left: int) -> int:
        """The next step, when an evaluation was made, with `left` times after it. The first one, which adds up whole
        windows, says nothing about the others."""
        self._made += 1
        if self._made == 1:
            self._first = worked
        if worked < HEAD_START * MOST_WORK_SECONDS or self._made < 3:
            return self._least
        one, rest = (worked - self._first) / (self._made - 1), MOST_WORK_SECONDS - worked
        return max(self._least, ceil(left * one / rest)) if rest > 0 else max(1, left)


def _thin(found: RecomputedEvaluation) -> RecomputedEvaluation:
    thin = tuple(signal.model_copy(update={"bins": ()}) for signal in found.evaluation.signals)
    return found.model_copy(update={"evaluation": found.evaluation.model_copy(update={"signals": thin})})


def _widest(times: Sequence[datetime]) -> float:
    """The longest time between two neighbours, in seconds; 0 without."""
    return max(((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=0.0)
