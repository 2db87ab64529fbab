"""What the panes of a window hold, straight from the events: sums of panes are functions of their events alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.real.streams import Events
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import PaneRange, WindowCover

GRID = PaneGrid(60)
MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in some panes, and when those with events begin and end (epoch seconds)."""

    counts: PaneCounts
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts)

    def sum(self) -> PaneCounts:
        """All of it."""
        return self.counts

    def times(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When each pane begins and ends."""
        return self.starts, self.ends

    def events_until(self, time: float) -> int:
        """None: scores are there from the first event on."""
        return 0


class Counter:
    """Counts the windows of a stream. One of a changed stream takes over what `clean` counted where nothing differs."""

    def __init__(
        self, events: Events, clean: Counter | None = None, changed: tuple[float, float] = (-np.inf, np.inf)
    ) -> None:
        self.events = events
        self._clean, self._changed = clean, changed
        self._kept: dict[tuple[PaneRange, ...], Counted] = {}

    def differs(self, start: float, end: float) -> bool:
        """Whether something in [start, end) may not be as in the clean stream."""
        return self._clean is None or (start < self._changed[1] and self._changed[0] < end)

    def of(self, cover: WindowCover) -> Counted:
        """What the panes of a cover hold."""
        if self._clean is not None and not self.differs(cover.start, cover.end):
            return self._clean.of(cover)
        found = self._kept.get(cover.ranges)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[cover.ranges] = self._count(cover.ranges)
        return found

    def _count(self, ranges: tuple[PaneRange, ...]) -> Counted:
        slices = [self._events_in(each) for each in ranges]
        starts = [self._starts(each, inside) for each, inside in zip(ranges, slices, strict=True)]
        lengths = [np.full(len(some), _seconds(each)) for each, some in zip(ranges, starts, strict=True)]
        begins = np.concatenate([np.empty(0), *starts])
        return Counted(self._histograms(slices), begins, begins + np.concatenate([np.empty(0), *lengths]))

    def _histograms(self, slices: list[slice]) -> PaneCounts:
        events = self.events
        scores = np.concatenate([np.empty(0), *(events.scores[each] for each in slices)])
        labels = np.concatenate([np.empty(0, np.int64), *(events.labels[each] for each in slices)])
        null = np.isnan(scores)
        named = dict(zip(events.names, np.bincount(labels, minlength=len(events.names)).tolist(), strict=True))
        return PaneCounts(Histogram.of(scores[~null], nulls=int(null.sum())), Histogram.of((), named))

    def _events_in(self, panes: PaneRange) -> slice:
        edges = [GRID.start_of(pane, panes.resolution) for pane in (panes.first, panes.end)]
        first, last = np.searchsorted(self.events.times, edges).tolist()
        return slice(first, last)

    def _starts(self, panes: PaneRange, inside: slice) -> NDArray[np.float64]:
        seconds = _seconds(panes)
        return np.unique(self.events.times[inside] // seconds) * seconds


def _seconds(panes: PaneRange) -> float:
    return GRID.coarse_seconds if panes.resolution is Resolution.COARSE else GRID.fine_seconds
