"""Panes of past events, counted when they are needed, and what the processor answers of a model's panes.

What lies in the fine panes of a window's young end changes with each evaluation, and is counted as one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sentryml_lifecycle.backtest.events import Events
from sentryml_statistics.comparison.from_panes import Times
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.pace import Panes
from sentryml_statistics.time.panes import PaneGrid, Resolution, micros_of
from sentryml_statistics.time.windows import PaneRange, WindowCover

Block: TypeAlias = PaneRange
"""Panes that are counted together: a coarse one, or all fine ones of a range."""


@dataclass(frozen=True, slots=True)
class _Filled:
    """The panes of one resolution that hold events, in order, and the place of each one's first event; with the end."""

    numbers: Panes
    firsts: NDArray[np.int64]

    def between(self, first: int, end: int) -> slice:
        """The places of the panes first … end − 1."""
        begin, after = np.searchsorted(self.numbers, (first, end)).tolist()
        return slice(begin, after)

    def events(self, places: slice) -> NDArray[np.int64]:
        """How many events each of some panes holds."""
        return np.diff(self.firsts[places.start : places.stop + 1])


class CountedEvents:
    """The events of one model, by pane: all of them, so that whatever evaluates must not ask for later ones. An event
    counts as received when it was made."""

    def __init__(self, grid: PaneGrid, events: Events) -> None:
        self.grid, self.events = grid, events
        self.first_seen, self.last_seen = float(events.times[0]), float(events.times[-1])
        self.first_score = events.first_score
        self._filled = {resolution: _filled(grid, events.times, resolution) for resolution in Resolution}
        self._coarse: dict[int, tuple[Block, PaneCounts]] = {}

    def window(self, cover: WindowCover, kept: KeptSum[Block, PaneCounts]) -> FilledWindow:
        """The panes of a cover, with the sum that is kept of it."""
        filled = [(each, self._filled[each.resolution].between(each.first, each.end)) for each in cover.ranges]
        return FilledWindow(self.grid, kept, self._blocks(filled), [self._panes(*each) for each in filled])

    def counts_of(self, cover: WindowCover) -> PaneCounts:
        """All that a cover holds."""
        filled = [(each, self._filled[each.resolution].between(each.first, each.end)) for each in cover.ranges]
        return merge_panes(self._blocks(filled).values())

    def arrivals(self, first: int, end: int) -> Panes:
        """The fine panes first … end − 1 with events."""
        filled = self._filled[Resolution.FINE]
        return filled.numbers[filled.between(first, end)]

    def coarse_events(self, first: int, end: int) -> list[tuple[int, int]]:
        """The coarse panes first … end − 1 with events, and how many."""
        filled = self._filled[Resolution.COARSE]
        places = filled.between(first, end)
        return list(zip(filled.numbers[places].tolist(), filled.events(places).tolist(), strict=True))

    def _panes(self, panes: PaneRange, places: slice) -> _Panes:
        filled = self._filled[panes.resolution]
        return _Panes(panes.resolution, filled.numbers[places], filled.events(places))

    def _blocks(self, filled: Iterable[tuple[PaneRange, slice]]) -> dict[Block, PaneCounts]:
        found: dict[Block, PaneCounts] = {}
        for panes, places in filled:
            firsts = self._filled[panes.resolution].firsts
            if panes.resolution is Resolution.COARSE:
                found |= map(self._coarse_block, range(places.start, places.stop))
            elif places.start < places.stop:
                found[panes] = self.events.counts(int(firsts[places.start]), int(firsts[places.stop]))
        return found

    def _coarse_block(self, place: int) -> tuple[Block, PaneCounts]:
        known = self._coarse.get(place)
        if known is None:
            filled = self._filled[Resolution.COARSE]
            number, (first, end) = int(filled.numbers[place]), filled.firsts[place : place + 2].tolist()
            known = PaneRange(Resolution.COARSE, number, number + 1), self.events.counts(first, end)
            self._coarse[place] = known
        return known


def _filled(grid: PaneGrid, times: Times, resolution: Resolution) -> _Filled:
    panes = micros_of(times) // grid.micros_per_pane(resolution)
    numbers, firsts = np.unique(panes, return_index=True)
    return _Filled(numbers, np.append(firsts, len(times)))


@dataclass(frozen=True, slots=True)
class _Panes:
    """Panes with events of one resolution."""

    resolution: Resolution
    numbers: Panes
    events: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FilledWindow:
    """The panes of a window that hold events, and the sum that is kept of it."""

    grid: PaneGrid
    kept: KeptSum[Block, PaneCounts]
    blocks: Mapping[Block, PaneCounts]
    panes: Sequence[_Panes]

    def __len__(self) -> int:
        return sum(len(each.numbers) for each in self.panes)

    def sum(self) -> PaneCounts:
        """What they hold together."""
        return self.kept.of(self.blocks)

    def times(self) -> tuple[Times, Times]:
        """When each begins and ends."""
        lengths = [self._seconds(each) for each in self.panes]
        starts = [each.numbers * length for each, length in zip(self.panes, lengths, strict=True)]
        ends = [start + length for start, length in zip(starts, lengths, strict=True)]
        return np.concatenate([np.empty(0), *starts]), np.concatenate([np.empty(0), *ends])

    def events_until(self, time: float) -> int:
        """How many events are in those that end by a time."""
        events = np.concatenate([np.empty(0, np.int64), *(each.events for each in self.panes)])
        return int(events[self.times()[1] <= time].sum())

    def _seconds(self, panes: _Panes) -> float:
        return self.grid.coarse_seconds if panes.resolution is Resolution.COARSE else self.grid.fine_seconds
