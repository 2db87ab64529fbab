"""Chunks: the fixed cut of a source partition, and what falls to each target within one.

    offsets   0 ····· 16383 │ 16384 ···· 32767 │ 32768 ···
              chunk 0       │ chunk 1          │ chunk 2

A chunk is read from its first offset and summed up cumulatively, so what it emits depends on the log alone, never
on when or by whom it was read. Events wait as rows until an emission, which sorts them all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.pane_counts import PaneCounts
from sentryml_drift.domain.panes import Lateness
from sentryml_drift.domain.partials import CHUNK_RECORDS, KIND_OF, Kind, Label, Partial, Target
from sentryml_drift.domain.rows import PaneRules, sort_rows

ROWS_AT_ONCE = 50_000
"""So many rows wait at most; sums take far less memory than the rows they are made of."""


def chunk_of(offset: int) -> int:
    """The chunk that an offset belongs to."""
    return offset // CHUNK_RECORDS


def start_of_chunk(chunk: int) -> int:
    """The first offset of a chunk."""
    return chunk * CHUNK_RECORDS


def end_of_chunk(chunk: int) -> int:
    """The last offset of a chunk."""
    return (chunk + 1) * CHUNK_RECORDS - 1


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """What decides where an event falls, and in which life of the source topic it is."""

    panes: PaneRules
    epoch: int


class OpenChunk:
    """A chunk being read: `offset` is the last one that is in."""

    def __init__(self, source: int, number: int, rules: ChunkRules) -> None:
        self.number, self.offset = number, start_of_chunk(number) - 1
        self.outcomes: Counter[Lateness] = Counter()
        self._source, self._rules = source, rules
        self._panes: dict[Target, PaneCounts] = {}
        self._facts: dict[Target, ModelFacts] = {}
        self._touched: set[Target] = set()
        self._rows: list[EventRow] = []
        self._record_times: list[float] = []

    def add(self, offset: int, events: Sequence[EventRow], record_times: Sequence[float]) -> None:
        """Take in the events of all records through `offset`, each with its record's timestamp (epoch seconds)."""
        self._rows += events
        self._record_times += record_times
        self.offset = max(offset, self.offset)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._settle()

    def emit(self, *, final: bool) -> list[Partial]:
        """The cumulative partials of all targets touched since the last emission, in the order of their models.

        `outcomes` then says how many events have been counted, or were late or future.
        """
        self._settle()
        label = Label(self._source, self._rules.epoch, self.number, self.offset, final)
        touched, self._touched = sorted(self._touched), set()
        packed: dict[int, bytes] = {}  # by identity: a fine and a coarse pane often hold the very same counts
        return [Partial(target, label, _packed(self._sum_of(target), packed)) for target in touched]

    def _sum_of(self, target: Target) -> PaneCounts | ModelFacts:
        return self._facts[target] if target.kind is Kind.FACTS else self._panes[target]

    def _settle(self) -> None:
        """Add the waiting rows to the sums."""
        if not self._rows:
            return
        found = sort_rows(self._rows, self._record_times, self._rules.panes)
        self._rows, self._record_times = [], []
        for model_id, facts in found.facts:
            target = Target(model_id, Kind.FACTS, 0)
            known = self._facts.get(target)
            self._facts[target] = facts if known is None else known + facts
            self._touched.add(target)
        for gain in found.panes:
            target = Target(gain.model_id, KIND_OF[gain.resolution], gain.pane)
            counts = self._panes.get(target)
            self._panes[target] = gain.counts if counts is None else counts + gain.counts
            self._touched.add(target)
        outcomes = {Lateness.COUNTED: found.counted, Lateness.LATE: found.late, Lateness.FUTURE: found.future}
        self.outcomes.update({outcome: count for outcome, count in outcomes.items() if count})


def _packed(value: PaneCounts | ModelFacts, packed: dict[int, bytes]) -> bytes:
    found = packed.get(id(value))
    if found is None:
        found = packed[id(value)] = value.pack()
    return found
