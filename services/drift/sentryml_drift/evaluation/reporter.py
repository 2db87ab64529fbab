"""Reports the recent activity of each owned model, monitored or not; the first report registers a model."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.activity import Activity, PaneCount, RecentEvent
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import ACTIVITY
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.activity import activity_of
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import OwnedModel, kind_and_number, read_counts
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.panes import FINE_PANES_KEPT, PaneGrid, Resolution
from sentryml_statistics.time.windows import PaneRange

log = get_logger(__name__)

COARSE_PANES_SHOWN = 24 * 8
MODELS_AT_ONCE = 100
WORK_PER_ROUND_SECONDS, PAUSE_PER_WORK, LONGEST_PAUSE_SECONDS = 0.5, 9.0, 5.0
"""With very many models not all that are due are reported in a round, so that counting has most of the time."""


class Reporter:
    """Publishes the activity of models that have changed, at most one record per model and interval."""

    def __init__(
        self,
        processor: Processor,
        grid: PaneGrid,
        publisher: Publisher,
        settings: DriftSettings,
        clock: Clock = system_clock,
    ) -> None:
        self._processor, self._grid, self._publisher = processor, grid, publisher
        self._interval, self._clock = settings.activity_seconds, clock

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            begun = time.thread_time()
            now = self._clock()
            due = await self._due(now.timestamp())
            for first in range(0, len(due), MODELS_AT_ONCE):
                await self._report(due[first : first + MODELS_AT_ONCE], now)
                if time.thread_time() - begun > WORK_PER_ROUND_SECONDS:
                    break
            pause = min(PAUSE_PER_WORK * (time.thread_time() - begun), LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(max(min(1.0, self._interval), pause))

    async def _due(self, now: float) -> list[tuple[str, OwnedModel]]:
        """The models that have changed and were not reported within the interval, with their ids, in the order of
        their turns: who was never reported is not registered yet, and of those the newest is somebody's first event
        while others may be thousands from a backfill; of the others who has waited longest."""
        pace, due = Pacer(), []
        for model_id, model in reversed(list(self._processor.models.by_id.items())):
            if model.changed and now - model.reported_at >= self._interval:
                due.append((model_id, model))
            await pace()
        return sorted(due, key=lambda each: each[1].reported_at)

    async def _report(self, due: list[tuple[str, OwnedModel]], now: datetime) -> None:
        """Report some models at once."""
        pace, records = Pacer(), []
        for model_id, model in due:
            owned = self._processor.owns(model.partition)  # asked late: a round of very many models takes long
            activity = self.activity(model_id, model, now) if owned else None
            if activity is not None:
                records.append(Record(ACTIVITY.name, model_id.encode(), encode(activity)))
                model.changed, model.reported_at = False, now.timestamp()
            await pace()
        try:
            with suppress(RecordTooLarge):  # logged by the publisher; sent again it would be refused again
                await self._publisher.publish(records)
        except Unavailable as err:
            for _, model in due:
                model.changed = True
            log.warning("activity_not_published", models=len(due), why=str(err))

    def activity(self, model_id: str, model: OwnedModel, now: datetime) -> Activity | None:
        """A model's activity at `now`; None before its first event. Where all its events were left out as late or
        future, their own times say nothing, and it was seen `now`."""
        facts = model.facts()
        if facts == ModelFacts():
            return None
        first_seen, last_seen = facts.first_seen, facts.last_seen
        return Activity(
            model_id=model_id,
            at=now,
            first_seen=now if first_seen is None else datetime.fromtimestamp(first_seen, UTC),
            last_seen=now if last_seen is None else datetime.fromtimestamp(last_seen, UTC),
            fine_pane_seconds=self._grid.fine_seconds,
            fine_panes=self._panes(model, Resolution.FINE, now),
            coarse_pane_seconds=self._grid.coarse_seconds,
            coarse_panes=self._panes(model, Resolution.COARSE, now),
            late=facts.late,
            future=facts.future,
            signals=activity_of(self._shown(model, now)),
            recent=tuple(
                RecentEvent(
                    timestamp=datetime.fromtimestamp(at, UTC), prediction=prediction, score=score, event_id=event_id
                )
                for at, prediction, score, event_id in reversed(facts.recent)
            ),
        )

    def _shown(self, model: OwnedModel, now: datetime) -> PaneCounts:
        """What the coarse panes hold: those that are over as a kept sum, and the one that is still growing."""
        shown = self._range(Resolution.COARSE, now)
        over = PaneRange(Resolution.COARSE, shown.first, shown.end - 1)
        growing = PaneRange(Resolution.COARSE, shown.end - 1, shown.end)
        return merge_panes([model.shown.of(model.panes([over])), *map(read_counts, model.panes([growing]).values())])

    def _range(self, resolution: Resolution, now: datetime) -> PaneRange:
        shown = FINE_PANES_KEPT if resolution is Resolution.FINE else COARSE_PANES_SHOWN
        end = self._grid.pane_of(now.timestamp(), resolution) + 1
        return PaneRange(resolution, end - shown, end)

    def _panes(self, model: OwnedModel, resolution: Resolution, now: datetime) -> tuple[PaneCount, ...]:
        """Events per pane, oldest first; panes without events are left out."""
        return tuple(
            PaneCount(
                start=datetime.fromtimestamp(self._grid.start_of(kind_and_number(pane)[1], resolution), UTC),
                count=model.events(pane),
            )
            for pane in model.panes([self._range(resolution, now)])
        )
