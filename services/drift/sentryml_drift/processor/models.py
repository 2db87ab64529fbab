"""The models this worker owns: the table as the evaluator and the reporter read it.

It holds the values as the table does, packed, and follows it batch by batch once these are durable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sentryml_drift.domain.arrivals import COARSE_PER_DAY, PANES_PER_DAY, panes_in
from sentryml_drift.domain.chunked_sum import ChunkedSum, unpack_sum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.kept_panes import KeptPanes
from sentryml_drift.domain.partials import KIND_OF, SLICED, Kind, Partial, Target
from sentryml_drift.domain.payloads import add_up, check_payload, counts_of, facts_of
from sentryml_drift.processor.slices import Slices, SliceSums
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.pace import Panes
from sentryml_statistics.time.panes import Resolution
from sentryml_statistics.time.windows import PaneRange

Pane: TypeAlias = int
"""A pane of a model: its number and kind (fine, coarse, or facts) in one number. There are millions of panes, and pairs
would take twice the memory, and the garbage collector's time."""

_KINDS = tuple(Kind)


def pane_of(kind: Kind, number: int) -> Pane:
    """The pane with a number; 0 for facts."""
    return number << 2 | kind


def kind_and_number(pane: Pane) -> tuple[Kind, int]:
    """What `pane_of` was given."""
    return _KINDS[pane & 3], pane >> 2


FACTS = pane_of(Kind.FACTS, 0)


SEALED_BYTES = {Kind.FINE: 512, Kind.COARSE: 512, Kind.FACTS: 2048, Kind.VERSION: 512, Kind.SEGMENT: 512}
"""Sealed values gather up to this many bytes. A model has hundreds of panes, but facts only once."""


def add_partial(known: ChunkedSum, partial: Partial) -> ChunkedSum:
    """A sum with one partial taken in; the same sum where the partial is already in.

    Raises:
        UndecodableMessage: the partial's payload cannot be read.
    """
    check_payload(partial.target.kind, partial.payload)
    kind = partial.target.kind
    return known.apply(partial.label, partial.payload).compact(SEALED_BYTES[kind], lambda sealed: add_up(kind, sealed))


def read_counts(packed: bytes) -> PaneCounts:
    """The counts of a pane as the table holds it."""
    return counts_of(unpack_sum(packed).values())


class WindowSums:
    """The sums of a model's two windows, kept from one evaluation to the next."""

    __slots__ = ("baseline", "current")

    def __init__(self) -> None:
        self.baseline: KeptSum[Pane, bytes] = KeptSum(read_counts)
        self.current: KeptSum[Pane, bytes] = KeptSum(read_counts)


class SlicedSums:
    """Of a model with versions or segments, the sum of all its events in the time in which these are counted, and the
    sums of each; and those of segments that are evaluated by themselves."""

    __slots__ = ("evaluated", "of", "whole")

    def __init__(self) -> None:
        self.whole: KeptSum[Pane, bytes] = KeptSum(read_counts)
        self.of: dict[tuple[Kind, str], SliceSums] = {}
        self.evaluated: dict[str, SliceSums] = {}


@dataclass(slots=True)
class OwnedModel:
    """One model: its partition, its packed sums by pane, and the sums that are kept for its next evaluation."""

    partition: int
    sums: dict[Pane, bytes] = field(default_factory=dict)
    recovered: bool = False
    """Whether it was in the table when this worker took it over."""
    changed: bool = True
    reported_at: float = 0.0
    windows: WindowSums = field(default_factory=WindowSums)
    shown: KeptSum[Pane, bytes] = field(default_factory=lambda: KeptSum(read_counts))
    slices: Slices | None = None
    """Its versions and segments; most models have none."""
    _sliced: SlicedSums | None = None
    _events: dict[Pane, int] = field(default_factory=dict)
    _oldest: dict[Kind, int] = field(default_factory=dict)
    """By kind, a number that no pane lies before: so that what is to be purged is found without reading the rest."""

    def facts(self) -> ModelFacts:
        """What is known of the model beside its counts."""
        packed = self.sums.get(FACTS)
        return facts_of(unpack_sum(packed).values()) if packed is not None else ModelFacts()

    def panes(self, ranges: Iterable[PaneRange]) -> dict[Pane, bytes]:
        """The panes in the ranges that hold events, packed, in the order of time within each range."""
        found: dict[Pane, bytes] = {}
        for each in ranges:
            kind = KIND_OF[each.resolution]
            if each.end - each.first > len(self.sums):
                begin, end = pane_of(kind, each.first), pane_of(kind, each.end)
                panes: Iterable[Pane] = sorted(pane for pane in self.sums if pane & 3 == kind and begin <= pane < end)
            else:
                panes = range(pane_of(kind, each.first), pane_of(kind, each.end), 4)
            # Hundreds of panes for each evaluation: without a loop's cost for those there are.
            found |= {pane: packed for pane, packed in zip(panes, map(self.sums.get, panes), strict=True) if packed}
        return found

    def events(self, pane: Pane) -> int:
        """How many events a pane holds."""
        known = self._events.get(pane)
        if known is None:
            known = self._events[pane] = read_counts(self.sums[pane]).total
        return known

    def coarse_events(self, first: int, end: int) -> list[tuple[int, int]]:
        """Those of the coarse panes first … end − 1 that hold events, and how many."""
        return [(pane >> 2, self.events(pane)) for pane in self.panes([PaneRange(Resolution.COARSE, first, end)])]

    def arrivals(self, first: int, end: int) -> Panes:
        """The fine panes first … end − 1 in which events came in, in order."""
        days = range(first // PANES_PER_DAY, -(-end // PANES_PER_DAY))
        values = {day: self.sums.get(pane_of(Kind.ARRIVALS, day)) for day in days}
        found = panes_in({day: packed for day, packed in values.items() if packed is not None})
        return found[(found >= first) & (found < end)]

    def seen_after(self, time: float) -> bool:
        """Whether an event of later than `time` has been counted."""
        last_seen = self.facts().last_seen
        return last_seen is not None and last_seen > time

    def sums_of_slices(self) -> SlicedSums | None:
        """What is kept for the next evaluation of its versions and segments; None where it has none."""
        if self.slices and self._sliced is None:
            self._sliced = SlicedSums()
        return self._sliced if self.slices else None

    def packed(self, target: Target) -> bytes | None:
        """The value of a target as the table holds it, if there is one."""
        if target.kind not in SLICED:
            return self.sums.get(pane_of(target.kind, target.pane))
        return None if self.slices is None else self.slices.panes(target.kind, target.value).get(target.pane)

    def set(self, target: Target, packed: bytes | None) -> None:
        """Set the sum of a target, or delete it."""
        if target.kind in SLICED:
            self.slices = self.slices or Slices()
            self.slices.set(target, packed)
        elif packed is None:
            self.remove(pane_of(target.kind, target.pane))
        else:
            self.put(pane_of(target.kind, target.pane), packed)

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it."""
        return not (self.sums or self.slices)

    def targets(self, model_id: str) -> list[Target]:
        """All of it, under its id."""
        panes = [Target(model_id, *kind_and_number(pane)) for pane in self.sums]
        return [*panes, *(self.slices.targets(model_id) if self.slices else ())]

    def targets_outside(self, model_id: str, kept: Mapping[Resolution, KeptPanes]) -> list[Target]:
        """What lies in panes that are not kept, under its id."""
        panes = [Target(model_id, *kind_and_number(pane)) for pane in self.outside(kept)]
        return [*panes, *(self.slices.outside(model_id, kept[Resolution.COARSE]) if self.slices else ())]

    def put(self, pane: Pane, packed: bytes) -> None:
        """Set the sum of a pane."""
        self.sums[pane] = packed
        kind, number = kind_and_number(pane)
        if number < self._oldest.get(kind, sys.maxsize):
            self._oldest[kind] = number
        self._events.pop(pane, None)
        self.changed = True

    def remove(self, pane: Pane) -> None:
        """Forget a pane."""
        self.sums.pop(pane, None)
        self._events.pop(pane, None)

    def outside(self, kept: Mapping[Resolution, KeptPanes]) -> list[Pane]:
        """The panes that are not among those that are kept."""
        ranges = [
            PaneRange(resolution, gap.start, gap.stop)
            for resolution, panes in kept.items()
            for gap in panes.gaps(self._oldest.get(KIND_OF[resolution], panes.first))
        ]
        return [*(self.panes(ranges) if ranges else []), *self._days_before(kept[Resolution.COARSE].oldest)]

    def _days_before(self, coarse: int) -> list[Pane]:
        """The days of arrivals that were over before a coarse pane."""
        end = coarse // COARSE_PER_DAY
        first = self._oldest.get(Kind.ARRIVALS, end)
        return [pane for day in range(first, end) if (pane := pane_of(Kind.ARRIVALS, day)) in self.sums]

    def remove_outside(self, kept: Mapping[Resolution, KeptPanes]) -> None:
        """Forget these."""
        for pane in self.outside(kept):
            self.remove(pane)
        if self.slices:
            self.slices.remove(self.slices.outside("", kept[Resolution.COARSE]), kept[Resolution.COARSE])
        for resolution, panes in kept.items():
            kind = KIND_OF[resolution]
            self._oldest[kind] = max(panes.oldest, self._oldest.get(kind, panes.first))
        day = kept[Resolution.COARSE].oldest // COARSE_PER_DAY
        self._oldest[Kind.ARRIVALS] = max(day, self._oldest.get(Kind.ARRIVALS, day))


class LoadedModels:
    """The models of one partition while its table is read."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.by_id: dict[str, OwnedModel] = {}

    def set(self, target: Target, packed: bytes | None) -> None:
        """Set the sum of a target, or delete it."""
        model = self.by_id.get(target.model_id)
        if packed is None:
            if model is not None:
                model.set(target, None)
                if model.empty:
                    del self.by_id[target.model_id]
            return
        if model is None:
            model = self.by_id[target.model_id] = OwnedModel(self.partition, recovered=True)
        model.set(target, packed)

    def clear(self) -> None:
        """Delete all."""
        self.by_id.clear()


class OwnedModels:
    """All owned models by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, OwnedModel] = {}
        self.partitions: set[int] = set()

    def adopt(self, loaded: LoadedModels) -> None:
        """Take in a whole partition of the table."""
        self.partitions.add(loaded.partition)
        self.by_id |= loaded.by_id

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self.partitions.discard(partition)
        self.by_id = {model_id: model for model_id, model in self.by_id.items() if model.partition != partition}

    def of_partition(self, partition: int) -> list[tuple[str, OwnedModel]]:
        """The models of one partition, with their ids."""
        return [(model_id, model) for model_id, model in self.by_id.items() if model.partition == partition]

    def packed(self, target: Target) -> bytes | None:
        """The value of a target as the table holds it, if there is one."""
        model = self.by_id.get(target.model_id)
        return None if model is None else model.packed(target)

    def values(self, model_id: str, kind: Kind) -> list[str]:
        """The admitted versions, or segments, of a model."""
        model = self.by_id.get(model_id)
        return [] if model is None or model.slices is None else model.slices.values(kind)

    def get(self, target: Target) -> ChunkedSum | None:
        """The sum of a target, if there is one."""
        packed = self.packed(target)
        return None if packed is None else unpack_sum(packed)

    def put(self, partition: int, target: Target, packed: bytes) -> None:
        """Set the sum of a target."""
        model = self.by_id.get(target.model_id)
        if model is None:
            model = self.by_id[target.model_id] = OwnedModel(partition)
        model.set(target, packed)

    def forget(self, model_id: str) -> None:
        """Forget a model; who still holds it finds it empty."""
        model = self.by_id.pop(model_id, None)
        if model is not None:
            model.sums.clear()
            model.slices = None
