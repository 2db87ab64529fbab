"""Panes of past events, counted when they are needed, and what the processor answers of a model's panes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sentryml_lifecycle.backtest.events import Events
from sentryml_statistics.comparison.from_panes import Times
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.pace import Panes
from sentryml_statistics.time.panes import FINE_PANES_KEPT, PaneGrid, Resolution, micros_of
from sentryml_statistics.time.windows import PaneRange, WindowCover

Pane: TypeAlias = tuple[Resolution, int]


@dataclass(frozen=True, slots=True)
class _Filled:
    """The panes of one resolution that hold events, in order, and the place of each one's first event; with the end."""

    numbers: Panes
    firsts: NDArray[np.int64]

    def between(self, first: int, end: int) -> range:
        """The places of the panes first … end − 1."""
        begin, after = np.searchsorted(self.numbers, (first, end)).tolist()
        return range(begin, after)


class CountedEvents:
    """The events of one model, by pane: all of them, so that whoever evaluates must not ask for later ones. An event
    counts as received when it was made."""

    def __init__(self, grid: PaneGrid, events: Events) -> None:
        self.grid, self.events = grid, events
        self.first_seen, self.last_seen = float(events.times[0]), float(events.times[-1])
        self.first_score = events.first_score
        self._filled = {resolution: _filled(grid, events.times, resolution) for resolution in Resolution}
        self._counts: dict[Pane, PaneCounts] = {}
        self._fine: list[Pane] = []
        """Those that are kept, in the order in which they were counted."""

    def panes(self, ranges: Iterable[PaneRange]) -> dict[Pane, PaneCounts]:
        """The panes in the ranges that hold events."""
        found: dict[Pane, PaneCounts] = {}
        for each in ranges:
            filled = self._filled[each.resolution]
            for place in filled.between(each.first, each.end):
                pane = each.resolution, int(filled.numbers[place])
                found[pane] = self._counts.get(pane) or self._count(pane, place)
        return found

    def counts_of(self, cover: WindowCover) -> PaneCounts:
        """All that a cover holds."""
        return merge_panes(self.panes(cover.ranges).values())

    def arrivals(self, first: int, end: int) -> Panes:
        """The fine panes first … end − 1 with events."""
        filled = self._filled[Resolution.FINE]
        places = filled.between(first, end)
        return filled.numbers[places.start : places.stop]

    def coarse_events(self, first: int, end: int) -> list[tuple[int, int]]:
        """The coarse panes first … end − 1 with events, and how many."""
        filled = self._filled[Resolution.COARSE]
        places = filled.between(first, end)
        numbers, firsts = filled.numbers[places.start : places.stop], filled.firsts[places.start : places.stop + 1]
        return list(zip(numbers.tolist(), np.diff(firsts).tolist(), strict=True))

    def _count(self, pane: Pane, place: int) -> PaneCounts:
        first, end = self._filled[pane[0]].firsts[place : place + 2].tolist()
        counts = self._counts[pane] = self.events.counts(first, end)
        if pane[0] is Resolution.FINE:  # soon no window reaches it any more
            self._fine.append(pane)
            if len(self._fine) > 4 * FINE_PANES_KEPT:
                for old in self._fine[:FINE_PANES_KEPT]:
                    self._counts.pop(old, None)
                del self._fine[:FINE_PANES_KEPT]
        return counts


def _filled(grid: PaneGrid, times: Times, resolution: Resolution) -> _Filled:
    panes = micros_of(times) // grid.micros_per_pane(resolution)
    numbers, firsts = np.unique(panes, return_index=True)
    return _Filled(numbers, np.append(firsts, len(times)))


@dataclass(frozen=True, slots=True)
class FilledWindow:
    """The panes of a window that hold events, and the sum that is kept of it."""

    grid: PaneGrid
    kept: KeptSum[Pane, PaneCounts]
    panes: Mapping[Pane, PaneCounts]

    def __len__(self) -> int:
        return len(self.panes)

    def sum(self) -> PaneCounts:
        """What they hold together."""
        return self.kept.of(self.panes)

    def times(self) -> tuple[Times, Times]:
        """When each begins and ends."""
        coarse = np.array([resolution is Resolution.COARSE for resolution, _ in self.panes], np.bool_)
        lengths = np.where(coarse, self.grid.coarse_seconds, self.grid.fine_seconds)
        starts = np.array([number for _, number in self.panes], np.float64) * lengths
        return starts, starts + lengths

    def events_until(self, time: float) -> int:
        """How many events are in those that end by a time."""
        over = (self.times()[1] <= time).tolist()
        return sum(counts.total for counts, before in zip(self.panes.values(), over, strict=True) if before)
