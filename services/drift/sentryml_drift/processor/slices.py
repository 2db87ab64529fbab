"""The slices of one model as its table holds them: packed sums by version or segment and coarse pane.

Which values are in it is which are admitted: the first ones that came, until the last pane of one is purged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from sentryml_drift.domain.chunked_sum import unpack_sum
from sentryml_drift.domain.kept_panes import KeptPanes
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.domain.payloads import slice_of
from sentryml_drift.domain.slices import SliceCounts, first_of
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import Resolution
from sentryml_statistics.time.windows import WindowCover

NO_PANES: Mapping[int, bytes] = {}


def read_slice(packed: bytes) -> SliceCounts:
    """What is counted in a pane of a slice as the table holds it."""
    return slice_of(unpack_sum(packed).values())


def read_slice_counts(packed: bytes) -> PaneCounts:
    """The counts of a pane of a slice as the table holds it."""
    return read_slice(packed).counts


def panes_within(panes: Mapping[int, bytes], cover: WindowCover) -> dict[int, bytes]:
    """Those coarse panes of a slice that a cover has, in order."""
    ranges = (range(each.first, each.end) for each in cover.ranges if each.resolution is Resolution.COARSE)
    return {pane: panes[pane] for numbers in ranges for pane in numbers if pane in panes}


class SliceSums:
    """The sums of one slice over the current window, over the baseline, and over a seasonal partner, kept from one
    evaluation to the next."""

    __slots__ = ("baseline", "current", "season")

    def __init__(self) -> None:
        self.current: KeptSum[int, bytes] = KeptSum(read_slice_counts)
        self.baseline: KeptSum[int, bytes] = KeptSum(read_slice_counts)
        self.season: KeptSum[int, bytes] = KeptSum(read_slice_counts)


class Slices:
    """The packed sums of each slice by coarse pane."""

    __slots__ = ("_events", "_oldest", "_panes")

    def __init__(self) -> None:
        self._panes: dict[tuple[Kind, str], dict[int, bytes]] = {}
        self._events: dict[tuple[Kind, str, int], int] = {}
        self._oldest = sys.maxsize
        """No pane lies before it: so that what is to be purged is found without reading the rest."""

    def __len__(self) -> int:
        return sum(map(len, self._panes.values()))

    def values(self, kind: Kind) -> list[str]:
        """The versions, or the segments, that have panes."""
        return [value for of_kind, value in self._panes if of_kind is kind]

    def panes(self, kind: Kind, value: str) -> Mapping[int, bytes]:
        """The packed sums of one slice by coarse pane."""
        return self._panes.get((kind, value), NO_PANES)

    def events(self, kind: Kind, value: str, pane: int) -> int:
        """How many events a pane of a slice holds."""
        packed = self.panes(kind, value).get(pane)
        if packed is None:
            return 0
        known = self._events.get((kind, value, pane))
        if known is None:
            known = self._events[kind, value, pane] = read_slice_counts(packed).total
        return known

    def first_event(self, kind: Kind, value: str) -> float:
        """When the first event was that is in the panes of a slice (epoch seconds); it has to have some."""
        panes = self._panes[kind, value]
        return min(map(first_of, unpack_sum(panes[min(panes)]).values()))

    def set(self, target: Target, packed: bytes | None) -> None:
        """Set the sum of a pane of a slice, or delete it."""
        key = target.kind, target.value
        self._events.pop((*key, target.pane), None)
        if packed is not None:
            self._panes.setdefault(key, {})[target.pane] = packed
            self._oldest = min(self._oldest, target.pane)
        elif key in self._panes:
            self._panes[key].pop(target.pane, None)
            if not self._panes[key]:
                del self._panes[key]

    def targets(self, model_id: str) -> Iterator[Target]:
        """All of it, as targets of this model."""
        return (Target(model_id, kind, pane, value) for (kind, value), panes in self._panes.items() for pane in panes)

    def outside(self, model_id: str, kept: KeptPanes) -> list[Target]:
        """What is not among the coarse panes that are kept."""
        if self._oldest >= kept.first:
            return []
        return [target for target in self.targets(model_id) if target.pane not in kept]

    def remove(self, targets: Iterable[Target], kept: KeptPanes) -> None:
        """Forget what is not kept any more."""
        for target in targets:
            self.set(target, None)
        self._oldest = max(self._oldest, kept.oldest)
