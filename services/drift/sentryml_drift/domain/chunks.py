"""Chunks: the fixed cut of a source partition, and what falls to each target within one.

    offsets   0 ······ 4095 │ 4096 ······ 8191 │ 8192 ···
              chunk 0       │ chunk 1          │ chunk 2

A chunk is read from its first offset and summed up cumulatively, so what it emits depends on the log alone, never
on when or by whom it was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.prediction import PredictionEvent
from sentryml_drift.domain.facts import RECENT_EVENTS, ModelFacts, Recent, newest
from sentryml_drift.domain.pane_counts import EMPTY_PANE, PaneCounts
from sentryml_drift.domain.panes import Lateness, PaneGrid, Resolution, judge
from sentryml_drift.domain.partials import CHUNK_RECORDS, Kind, Label, Partial, Target


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
    """What decides where an event falls: the panes, how old and how new it may be, the source topic's epoch."""

    grid: PaneGrid
    longest_window_seconds: float
    future_limit_seconds: float
    epoch: int


class _Pane:
    """The cumulative counts of one pane, with the newest values still waiting to be counted."""

    __slots__ = ("_counts", "_predictions", "_scores")

    def __init__(self) -> None:
        self._counts = EMPTY_PANE
        self._predictions: list[str | float | bool] = []
        self._scores: list[float | None] = []

    def add(self, event: PredictionEvent) -> None:
        self._predictions.append(event.prediction)
        self._scores.append(event.score)

    def pack(self) -> bytes:
        self._counts = self._counts + PaneCounts.of(self._predictions, self._scores)
        self._predictions, self._scores = [], []
        return self._counts.pack()


class _Facts:
    """The cumulative facts of one model."""

    __slots__ = ("_facts", "_first", "_future", "_last", "_late", "_recent")

    def __init__(self) -> None:
        self._facts = ModelFacts()
        self._start()

    def _start(self) -> None:
        self._first: float | None = None
        self._last: float | None = None
        self._late = self._future = 0
        self._recent: list[Recent] = []

    def add(self, at: float, event: PredictionEvent, lateness: Lateness) -> None:
        if lateness is Lateness.LATE:
            self._late += 1
        elif lateness is Lateness.FUTURE:
            self._future += 1
        else:
            self._first = at if self._first is None else min(self._first, at)
            self._last = at if self._last is None else max(self._last, at)
            self._recent.append((at, event.prediction, event.score, event.event_id))
            if len(self._recent) > 10 * RECENT_EVENTS:
                self._recent = list(newest(self._recent))

    def pack(self) -> bytes:
        self._facts = self._facts + ModelFacts(self._first, self._last, self._late, self._future, newest(self._recent))
        self._start()
        return self._facts.pack()


class OpenChunk:
    """A chunk being read: `offset` is the last one that is in."""

    def __init__(self, source: int, number: int, rules: ChunkRules) -> None:
        self.number, self.offset = number, start_of_chunk(number) - 1
        self._source, self._rules = source, rules
        self._panes: dict[Target, _Pane] = {}
        self._facts: dict[Target, _Facts] = {}
        self._touched: dict[Target, None] = {}

    def add(self, offset: int, record_time: float, events: Iterable[PredictionEvent]) -> Counter[str]:
        """Take in one record (`record_time`: Kafka's timestamp, epoch seconds), with no events where it was
        unusable; return how many events were counted, late and future."""
        outcomes: Counter[str] = Counter()
        for event in events:
            at = _seconds(event.timestamp, record_time)
            lateness = judge(at, record_time, self._rules.longest_window_seconds, self._rules.future_limit_seconds)
            outcomes[lateness.value] += 1
            self._add_facts(at, event, lateness)
            if lateness is Lateness.COUNTED:
                self._count(at, record_time, event)
        self.offset = offset
        return outcomes

    def _add_facts(self, at: float, event: PredictionEvent, lateness: Lateness) -> None:
        target = Target(event.model_id, Kind.FACTS, 0)
        self._touched[target] = None
        self._facts.setdefault(target, _Facts()).add(at, event, lateness)

    def _count(self, at: float, record_time: float, event: PredictionEvent) -> None:
        grid = self._rules.grid
        targets = [Target(event.model_id, Kind.COARSE, grid.pane_of(at, Resolution.COARSE))]
        if grid.admits_fine(at, record_time):
            targets.append(Target(event.model_id, Kind.FINE, grid.pane_of(at, Resolution.FINE)))
        for target in targets:
            self._touched[target] = None
            self._panes.setdefault(target, _Pane()).add(event)

    def emit(self, *, final: bool) -> list[Partial]:
        """The cumulative partials of all targets touched since the last emission, in the order of their models."""
        label = Label(self._source, self._rules.epoch, self.number, self.offset, final)
        touched, self._touched = sorted(self._touched, key=_by_model), {}
        return [Partial(target, label, packed) for target, packed in self._packed(touched)]

    def _packed(self, targets: Iterable[Target]) -> Iterator[tuple[Target, bytes]]:
        for target in targets:
            yield target, (self._facts if target.kind is Kind.FACTS else self._panes)[target].pack()


def _by_model(target: Target) -> tuple[str, Kind, int]:
    return target.model_id, target.kind, target.pane


def _seconds(timestamp: datetime | None, record_time: float) -> float:
    return record_time if timestamp is None else timestamp.timestamp()
