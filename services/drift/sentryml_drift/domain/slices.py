"""Slices: the events of one version or one segment of a model, counted in coarse panes beside all of its events.

A chunk counts the first MOST_PER_CHUNK values of a model and slicing that come in it, in the order of the log. That set
only grows with the chunk, so of two partials of one target the one with the larger offset contains the other. (The
heaviest values would change places as a chunk grows, and what was emitted of a former one would stay.) All other events
need no counts of their own: they are what the slices leave of the whole pane.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.prediction import EventRow
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.partials import Kind
from sentryml_statistics.histograms.pane_counts import PaneCounts, count_runs, merge_panes

MOST_PER_CHUNK = 200
"""Four times as many as are kept of a model, so that those are whole also where it has some more."""
MOST_PER_MODEL = 50
"""Values of a model and slicing that are kept at a time."""

_FIRST = struct.Struct("<d")


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """What is counted in one pane of one slice, and the time of the first event of it there (epoch seconds)."""

    first: float
    counts: PaneCounts

    def __add__(self, other: SliceCounts) -> SliceCounts:
        return SliceCounts(min(self.first, other.first), self.counts + other.counts)

    def pack(self) -> bytes:
        """The same as bytes; equal counts give equal bytes."""
        return _FIRST.pack(self.first) + self.counts.pack()

    @classmethod
    def unpack(cls, packed: bytes) -> SliceCounts:
        """Read back what `pack` made.

        Raises:
            UndecodableMessage: these are not the bytes of a slice.
        """
        return cls(first_of(packed), PaneCounts.unpack(counts_in(packed)))


def counts_in(packed: bytes) -> bytes:
    """The packed counts in a packed slice."""
    return packed[_FIRST.size :]


def first_of(packed: bytes) -> float:
    """The time of the first event of a packed slice.

    Raises:
        UndecodableMessage: the bytes are cut short.
    """
    if len(packed) < _FIRST.size:
        raise UndecodableMessage("cut_short", f"a slice has {len(packed)} bytes")
    return float(_FIRST.unpack_from(packed)[0])


def merge_slices(parts: Sequence[SliceCounts]) -> SliceCounts:
    """The sum of at least one."""
    return SliceCounts(min(part.first for part in parts), merge_panes(part.counts for part in parts))


class SliceGain(NamedTuple):
    """What a coarse pane of a slice gains; `live` where one of its events is young enough for a fine pane."""

    model_id: str
    kind: Kind
    pane: int
    value: str
    counts: SliceCounts
    live: bool


@dataclass(frozen=True, slots=True)
class CountedRows:
    """Events that count: each with its model by number in `names`, its place in the log, its time (epoch seconds), its
    coarse pane, and whether it is young enough for a fine one."""

    names: Sequence[str]
    models: NDArray[np.int64]
    rows: Sequence[EventRow]
    places: NDArray[np.int64]
    times: NDArray[np.float64]
    coarse: NDArray[np.int64]
    young: NDArray[np.bool_]


class ChunkSlices:
    """The slices of a chunk: which values of which model came first."""

    def __init__(self) -> None:
        self._known: dict[tuple[Kind, str], set[str]] = {}

    def gains(self, events: CountedRows) -> Iterator[SliceGain]:
        """What the slices of some events gain. Those are the next ones of the log."""
        for kind, values in (
            (Kind.VERSION, [row.version for row in events.rows]),
            (Kind.SEGMENT, [row.segment for row in events.rows]),
        ):
            if any(values):
                yield from self._gains_by(kind, values, events)

    def _gains_by(self, kind: Kind, values: Sequence[str | None], events: CountedRows) -> Iterator[SliceGain]:
        sent = [(at, value) for at, value in enumerate(values) if value is not None]
        sent.sort(key=lambda each: events.places[each[0]])
        codes: dict[tuple[str, str], int] = {}
        counted = []
        for at, value in sent:
            model_id = events.names[events.models[at]]
            if self._admits(kind, model_id, value):
                counted.append((at, codes.setdefault((model_id, value), len(codes))))
        if counted:
            at_places, of_slices = np.array(counted, np.int64).T
            yield from _gains(kind, list(codes), at_places, of_slices, events)

    def _admits(self, kind: Kind, model_id: str, value: str) -> bool:
        known = self._known.setdefault((kind, model_id), set())
        if value not in known and len(known) < MOST_PER_CHUNK:
            known.add(value)
        return value in known


def _gains(
    kind: Kind, slices: Sequence[tuple[str, str]], at: NDArray[np.int64], codes: NDArray[np.int64], events: CountedRows
) -> Iterator[SliceGain]:
    """Count the events at some places, with the number of the slice of each, by slice and coarse pane."""
    order = np.lexsort((events.coarse[at], codes))
    at, codes = at[order], codes[order]
    coarse, times, young = events.coarse[at], events.times[at], events.young[at]
    starts = runs(codes, coarse)
    rows = [events.rows[place] for place in at.tolist()]
    counts = count_runs([row.prediction for row in rows], [row.score for row in rows], starts)
    for (begin, end), found in zip(pairwise(starts), counts, strict=True):
        model_id, value = slices[codes[begin]]
        counted = SliceCounts(float(times[begin:end].min()), found)
        yield SliceGain(model_id, kind, int(coarse[begin]), value, counted, bool(young[begin:end].any()))


def runs(*columns: NDArray[np.int64]) -> list[int]:
    """Where runs of equal rows begin, and the end of the last."""
    length = len(columns[0])
    changes = np.zeros(max(0, length - 1), bool)
    for column in columns:
        changes |= column[1:] != column[:-1]
    return [*([0] if length else []), *(np.flatnonzero(changes) + 1).tolist(), length]
