"""Chunks: the fixed cut of a source partition, and what is counted per target within one.

Records are cut by their size first, so that a chunk never holds more than CHUNK_BYTES, whatever is sent:

    size class    records of          offsets per chunk
    0             up to 512 bytes     16,384              0 ··· 16383 │ 16384 ··· 32767 │ …
    1             up to 8 KB           1,024              0 ··· 1023 │ 1024 ··· 2047 │ …
    2             up to 128 KB            64
    3             up to 2 MB               4

Both cuts depend on a record's offset and length alone, never on where reading began. A chunk is read from its first
record and summed up cumulatively, so what it emits depends on the log alone, never on when or by whom it was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import compress, islice
from typing import TypeAlias

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import KIND_OF, SLICED, Kind, Label, Partial, Target
from sentryml_drift.domain.rows import PaneRules, SortedRows, sort_rows
from sentryml_drift.domain.slices import ChunkSlices, SliceCounts
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts
from sentryml_statistics.time.panes import Lateness

CHUNK_BYTES = 8 * 1024 * 1024
"""Most bytes of records in a chunk. It is part of every label's meaning: never a setting, never changed."""
ROWS_AT_ONCE = 5_000
"""Rows that are counted in one step: some 50 ms at worst."""
UNPACKED_TARGETS = 20_000
"""Up to this many targets, a chunk keeps its sums unpacked, since they are added to again soon. Packed, a sum takes
a third of the memory."""

Sum: TypeAlias = PaneCounts | ModelFacts | SliceCounts


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Records of up to `most_bytes`, and the cut of their offsets."""

    number: int
    most_bytes: int

    @property
    def offsets(self) -> int:
        """Offsets per chunk."""
        return CHUNK_BYTES // self.most_bytes

    def chunk_of(self, offset: int) -> int:
        """The chunk that an offset belongs to."""
        return offset // self.offsets

    def end_of(self, chunk: int) -> int:
        """The first offset after a chunk."""
        return (chunk + 1) * self.offsets


SIZE_CLASSES = tuple(SizeClass(number, most) for number, most in enumerate((512, 8_192, 131_072, 2_097_152)))
MOST_RECORD_BYTES = SIZE_CLASSES[-1].most_bytes


def size_class_of(length: int) -> SizeClass | None:
    """The size class of a record of `length` bytes; None where it is too long to be read."""
    return next((each for each in SIZE_CLASSES if length <= each.most_bytes), None)


def source_of(partition: int, size_class: SizeClass) -> int:
    """The number under which labels name the records of one size class of a source partition."""
    return partition * len(SIZE_CLASSES) + size_class.number


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """What decides where an event falls, and which incarnation of the source topic it is in."""

    panes: PaneRules
    epoch: int


class OpenChunk:
    """A chunk being read: `first` is the offset of its first record, `offset` that of the last one that is in.

    Targets that an event of the last hours has touched are `live`; those that only older events have touched are
    `backfilled`, and may wait: an honest backfill touches hundreds of thousands.

    A repeat touches what it would be counted in, with nothing, and these targets are emitted as final once the chunk is
    complete. So what a repeat could be counted in is sealed, also for a reader that does not know all ids before it.
    """

    def __init__(self, source: int, number: int, first: int, rules: ChunkRules) -> None:
        self.number, self.first, self.offset, self.complete = number, first, first - 1, False
        self.outcomes: Counter[Lateness] = Counter()
        self.arrivals: set[tuple[str, int]] = set()
        """Models and the fine panes in which their events came in, as far as not reported yet."""
        self._source, self._rules = source, rules
        self._sums: dict[Target, Sum | bytes] = {}
        self._slices = ChunkSlices()
        self._live: set[Target] = set()
        self._backfilled: dict[Target, None] = {}
        self._of_repeats: dict[Target, bool] = {}
        """What repeats have touched, and whether that is live; until the chunk is complete."""
        self._rows: list[EventRow] = []
        self._record_times: list[float] = []
        self._repeated: list[bool] = []

    def add(self, offset: int, events: Sequence[EventRow], record_time: float, *, repeated: bool = False) -> None:
        """Take in the events of the record at `offset`, with its timestamp (epoch seconds). They wait as rows until
        they are counted."""
        self._rows += events
        self._record_times += [record_time] * len(events)
        self._repeated += [repeated] * len(events)
        self.offset = offset

    @property
    def waiting(self) -> int:
        """Rows that are not counted yet."""
        return len(self._rows)

    @property
    def live(self) -> Set[Target]:
        """Live targets that have not been emitted."""
        return self._live

    @property
    def backfilled(self) -> int:
        """Backfilled targets that have not been emitted."""
        return len(self._backfilled)

    @property
    def emitted(self) -> bool:
        """Whether everything that is in has been emitted."""
        return not (self._rows or self._live or self._backfilled or self._of_repeats)

    def count(self) -> None:
        """Count some of the waiting rows. `outcomes` then says how many were counted, late or future."""
        rows, times = self._rows[:ROWS_AT_ONCE], self._record_times[:ROWS_AT_ONCE]
        repeated = self._repeated[:ROWS_AT_ONCE]
        if not rows:
            return
        del self._rows[:ROWS_AT_ONCE], self._record_times[:ROWS_AT_ONCE], self._repeated[:ROWS_AT_ONCE]
        found = sort_rows(rows, times, self._rules.panes)
        self.arrivals.update(found.arrivals)
        if True in repeated:
            for target, gain, live in self._gains(found):
                self._gain(target, _nothing(gain), live)
                self._of_repeats[target] = live or self._of_repeats.get(target, False)
            counted = [not each for each in repeated]
            if True not in counted:
                return
            rows, times = list(compress(rows, counted)), list(compress(times, counted))
            found = sort_rows(rows, times, self._rules.panes)
        for target, gain, live in self._gains(found):
            self._gain(target, gain, live)
        outcomes = {Lateness.COUNTED: found.counted, Lateness.LATE: found.late, Lateness.FUTURE: found.future}
        self.outcomes.update({outcome: count for outcome, count in outcomes.items() if count})

    def finish(self) -> None:
        """Have what repeats have touched emitted as final: the chunk is complete, and all rows are counted."""
        for target, live in self._of_repeats.items():
            if live:
                self._live.add(target)
            else:
                self._backfilled.setdefault(target)
        self._of_repeats.clear()

    def bring_forward(self, targets: Set[Target]) -> None:
        """Make these live: later chunks of the source have touched them, and this must not be emitted after those."""
        for target in self._backfilled.keys() & targets:
            del self._backfilled[target]
            self._live.add(target)

    def take_live(self) -> Iterator[Partial]:
        """The cumulative partials of all live targets, in the order of their models, and of slices the heaviest first:
        the processor may not have a place for all. All rows have to be counted."""
        touched, self._live = sorted(target for target in self._live if not target.value) + self._live_slices(), set()
        for target in touched:
            self._backfilled.pop(target, None)
        if self.complete and len(self._sums) > len(touched) + len(self._backfilled):  # the others are emitted for good
            self._sums = {target: self._sums[target] for target in (*touched, *self._backfilled)}
        return self._partials(touched)

    def take_backfilled(self, most: int) -> Iterator[Partial]:
        """The same of at most this many backfilled targets, in the order in which they were touched first."""
        touched = list(islice(self._backfilled, most))
        for target in touched:
            del self._backfilled[target]
        return self._partials(touched)

    def _gains(self, found: SortedRows) -> Iterator[tuple[Target, Sum, bool]]:
        """What targets gain, and whether that makes them live."""
        for model_id, facts, live in found.facts:
            yield Target(model_id, Kind.FACTS, 0), facts, live
        for gain in found.panes:
            yield Target(gain.model_id, KIND_OF[gain.resolution], gain.pane), gain.counts, gain.live
        for each in self._slices.gains(found.events):
            yield Target(each.model_id, each.kind, each.pane, each.value), each.counts, each.live

    def _gain(self, target: Target, gain: Sum, live: bool) -> None:
        known = self._sums.get(target)
        if known is not None:
            gain = _unpacked(target, known) + gain  # type: ignore[operator]
        self._sums[target] = gain if live else gain.pack()
        if live:
            self._live.add(target)
        else:
            self._backfilled[target] = None

    def _live_slices(self) -> list[Target]:
        weights = {target: -self._events_of(target) for target in self._live if target.value}
        return sorted(weights, key=lambda target: (*target[:3], weights[target], target.value))

    def _events_of(self, target: Target) -> int:
        found = _unpacked(target, self._sums[target])
        return found.counts.total if isinstance(found, SliceCounts) else 0

    def _partials(self, targets: Iterable[Target]) -> Iterator[Partial]:
        label = Label(self._source, self._rules.epoch, self.number, self.offset, self.complete)
        keep_unpacked = len(self._sums) <= UNPACKED_TARGETS
        last: tuple[object, bytes] = (None, b"")  # a fine and a coarse pane often hold the very same counts
        for target in targets:
            value = self._sums[target]
            if not isinstance(value, bytes):
                packed = last[1] if value is last[0] else value.pack()
                last = value, packed
                if not keep_unpacked:
                    self._sums[target] = packed
                value = packed
            if self.complete:
                del self._sums[target]
            yield Partial(target, label, value)


def _nothing(gain: Sum) -> Sum:
    """A gain of the same kind without an event."""
    if isinstance(gain, SliceCounts):
        return SliceCounts(gain.first, EMPTY_PANE)
    return ModelFacts() if isinstance(gain, ModelFacts) else EMPTY_PANE


def _unpacked(target: Target, value: Sum | bytes) -> Sum:
    if not isinstance(value, bytes):
        return value
    if target.kind in SLICED:
        return SliceCounts.unpack(value)
    return ModelFacts.unpack(value) if target.kind is Kind.FACTS else PaneCounts.unpack(value)
