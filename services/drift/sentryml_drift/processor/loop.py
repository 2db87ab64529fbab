"""The processor: reads partial histograms, and keeps the sums in its table, exactly once.

What brings the input (Faust) is plumbing: group, assignment, stream. It keeps neither our place in the input (on Apache
Kafka, Faust's own offsets lose messages at rebalances, measured) nor the table (its changelog cannot shut out a stale
writer):

    batch ─▶ skip what is below our place, seek back over a gap ─▶ merge into copies, a record wholly or not at all
          ─▶ write the touched keys and our new place as one transaction ─▶ the view follows

A batch whose partitions may be going is dropped. A worker that finds itself shut out, or meets anything unexpected,
ends: what is not in the table is read again by the next one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sentryml_common.errors import UndecodableMessage
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.domain.arrivals import by_day, with_arrivals
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.partials import SLICED, Kind, Partial, Target, unpack_record
from sentryml_drift.domain.payloads import check_payload
from sentryml_drift.domain.read_report import ReadReport, ReadUntil, report_in
from sentryml_drift.domain.slices import MOST_PER_MODEL
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import BATCHES_DROPPED, GAPS, MODELS, PARTIALS_APPLIED
from sentryml_drift.processor.input_stream import InputRecord, InputStream
from sentryml_drift.processor.models import OwnedModels, add_partial
from sentryml_drift.processor.partitions import OpenTable, Partitions
from sentryml_drift.processor.retention import Retention
from sentryml_drift.state.table import Table

log = get_logger(__name__)


Values: TypeAlias = dict[tuple[str, Kind], frozenset[str]]
"""The admitted versions, or segments, of a model."""


@dataclass(slots=True)
class _Merging:
    """What one record would change: copies of the touched sums, values that it brings; what became of its partials."""

    sums: dict[Target, ChunkedSum] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Draft:
    """What a batch would change in one partition: copies of the touched sums, days of arrivals, how far the source is
    read, our next place, letters about records that cannot be read; and what became of its partials."""

    table: Table
    next_offset: int
    read_until: ReadUntil
    first_offset: int | None = None
    """Of the input; asked for at the first gap, where our place is sought as well."""
    sums: dict[Target, ChunkedSum] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    arrivals: dict[Target, bytes] = field(default_factory=dict)
    letters: list[Record] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def moves(self) -> bool:
        """Whether anything was applied."""
        return self.next_offset > self.table.place.next_offset


class Processor:
    """Keeps the partitions of the table that the group gives this worker, and the view of their models."""

    def __init__(
        self,
        stream: InputStream,
        open_table: OpenTable,
        dead_letters: DeadLetters,
        retention: Retention,
        health: Health,
    ) -> None:
        self.models = OwnedModels()
        self.partitions = Partitions(stream, open_table, self.models, health)
        self._stream, self._dead_letters, self._retention = stream, dead_letters, retention
        self._sought: dict[int, tuple[int, int]] = {}
        self._ends: dict[int, int] = {}
        self._read_until: dict[int, ReadUntil] = {}
        self._stopped = False

    async def revoked(self) -> None:
        """The partitions may be going: let the batch in flight end before another worker gets them, so that it need not
        read it again."""
        await self.partitions.revoked()

    async def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions are ours now, and no others."""
        await self.partitions.assigned(partitions)
        self._sought.clear()
        self._ends.clear()
        self._read_until.clear()

    async def stop(self) -> None:
        """Let the batch in flight end, take in no other, and let go of all partitions."""
        async with self.partitions.in_flight:
            self._stopped = True
            await self.partitions.close()

    async def take(self, batch: Sequence[InputRecord]) -> None:
        """Take in what has come; drop it where the partitions may be going.

        Raises:
            FencedOff: another worker has taken over a partition.
            Unavailable: Kafka did not take what has changed.
            ConfigurationError: the table cannot be used by this worker.
        """
        await self.partitions.held()
        async with self.partitions.in_flight:
            if not self._stopped and not self._stream.rebalancing:
                await self._process(batch)

    async def _process(self, batch: Sequence[InputRecord]) -> None:
        generation, pace = self._stream.generation, Pacer()
        drafts = {
            partition: _Draft(table, table.place.next_offset, self._read_until.get(partition, ReadUntil()))
            for partition, table in self.partitions.tables.items()
        }
        for record in batch:
            draft = drafts.get(record.partition)
            if record.generation == generation and draft is not None and await self._is_next(record, draft):
                await self._take_in(record, draft, pace)
            await pace()
        if self._stream.generation != generation:
            BATCHES_DROPPED.inc()
            return
        moved = {partition: draft for partition, draft in drafts.items() if draft.moves}
        await asyncio.gather(*(self._write(partition, draft) for partition, draft in moved.items()))
        MODELS.set(len(self.models.by_id))
        if moved:
            await self._stream.commit({partition: draft.next_offset for partition, draft in moved.items()})

    async def _is_next(self, record: InputRecord, draft: _Draft) -> bool:
        """Whether a record is the next of its partition; where one may be missing before it, go back to our place.

        What was on its way already still comes after that, so seeing a later record once more is no sign. Only the one
        that is met first behind the gap, met again, says that there is nothing before it: it was read from our place.
        """
        expected, offset = draft.next_offset, record.offset
        if offset <= expected:
            return offset == expected
        seek, first = draft.first_offset is None, draft.first_offset
        if first is None:
            first = draft.first_offset = await self._stream.first_offset(record.partition)
        place, nearest = self._sought.get(record.partition, (-1, offset))
        if offset == first or (place, nearest) == (expected, offset):
            if first > expected:
                log.error("input_lost_to_retention", partition=record.partition, expected=expected, first=first)
            return True
        self._sought[record.partition] = expected, min(nearest, offset) if place == expected else offset
        if seek:
            GAPS.inc()
            log.info("gap_in_input", partition=record.partition, expected=expected, offset=offset)
            await self._stream.seek(record.partition, max(expected, first))
        return False

    async def _take_in(self, record: InputRecord, draft: _Draft, pace: Pacer) -> None:
        """Merge the next record of a partition, all of it; dead-letter it if any of it cannot be read."""
        draft.next_offset = record.offset + 1
        try:
            if record.value is None:
                raise UndecodableMessage("no_value", "a record of partial histograms has no value")
            merging = _Merging()
            for partial in unpack_record(record.value):
                merging.outcomes[self._merge(partial, merging, draft)] += 1
                await pace()
            report = report_in(record.headers)
        except UndecodableMessage as err:
            draft.outcomes["undecodable"] += 1
            draft.letters.append(self._dead_letters.letter(record, err))
        else:
            draft.sums |= merging.sums
            draft.values |= merging.values
            draft.outcomes += merging.outcomes
            if report is not None:
                await self._note(report, draft, pace)

    async def _note(self, report: ReadReport, draft: _Draft, pace: Pacer) -> None:
        """Take in what the combiner reports."""
        draft.read_until = draft.read_until.taking_in(report)
        for model_id, panes in report.arrivals.items():
            for day, of_day in by_day(panes).items():
                target = Target(model_id, Kind.ARRIVALS, day)
                known = draft.arrivals.get(target) or self.models.packed(target)
                found = with_arrivals(known, of_day)
                if found is not known:
                    draft.arrivals[target] = found
            await pace()

    def _merge(self, partial: Partial, merging: _Merging, draft: _Draft) -> str:
        """Merge one partial of a record; say what became of it."""
        target = partial.target
        if self._retention.expired(target):
            check_payload(target.kind, partial.payload)
            return "expired"
        if target.kind in SLICED and not self._admits(target, merging, draft):
            check_payload(target.kind, partial.payload)
            return "no_place"
        known = merging.sums.get(target) or draft.sums.get(target) or self.models.get(target) or NOTHING
        merged = add_partial(known, partial)
        if merged is known:
            return "ignored"
        merging.sums[target] = merged
        return "applied"

    def _admits(self, target: Target, merging: _Merging, draft: _Draft) -> bool:
        """Whether a version or segment is kept of its model: it is known, or there is a place for it."""
        of = target.model_id, target.kind
        known = merging.values.get(of) or draft.values.get(of)
        if known is None:
            known = draft.values[of] = frozenset(self.models.values(*of))
        if target.value in known:
            return True
        if len(known) >= MOST_PER_MODEL:
            return False
        merging.values[of] = known | {target.value}
        return True

    async def _write(self, partition: int, draft: _Draft) -> None:
        """Make one partition's part of a batch durable; then the view follows."""
        pace, packed = Pacer(), dict(draft.arrivals)
        for target, known in draft.sums.items():
            packed[target] = known.pack()
            await pace()
        place = replace(draft.table.place, next_offset=draft.next_offset)
        await draft.table.write(place, packed.items(), draft.letters)
        for target, value in packed.items():
            self.models.put(partition, target, value)
            await pace()
        self._read_until[partition] = draft.read_until
        for outcome, count in draft.outcomes.items():
            PARTIALS_APPLIED.labels(outcome=outcome).inc(count)

    async def caught_up(self) -> bool:
        """Whether the view holds everything that was in the input when this worker got its partitions.

        Raises:
            SentryMLError: a partition could not be taken over.
        """
        if not self.holds_all():
            return False
        generation = self._stream.generation
        if self._ends.keys() != self.partitions.owned:
            ends = await self.ends()
            if self._stream.generation != generation or not self.holds_all():
                return False
            self._ends = ends
        return await self.has_reached(self._ends)

    async def ends(self) -> dict[int, int]:
        """The offset after the last record of each partition that is ours, as of now."""
        return await self._stream.ends(self.partitions.owned)

    async def has_reached(self, ends: Mapping[int, int]) -> bool:
        """Whether the view holds everything before these offsets; they have to be of all partitions that are held."""
        async with self.partitions.in_flight:  # the view follows the place
            places = self._places()
        return bool(places) and ends.keys() == places.keys() and all(places[each] >= end for each, end in ends.items())

    def holds_all(self) -> bool:
        """Whether the partitions that are ours have all been taken over and recovered.

        Raises:
            SentryMLError: one could not be.
        """
        return not self._stopped and self.partitions.all_held()

    def owns(self, partition: int) -> bool:
        """Whether a partition is ours; one that has gone to another is still in the view for a moment."""
        return partition in self.partitions.owned

    def read_until(self, partition: int) -> float | None:
        """Up to which time all source partitions have been read, as far as their events for one of our partitions are
        in the view (epoch seconds); None while that is not known."""
        return self._read_until.get(partition, ReadUntil()).time

    async def publish(self, partition: int, records: list[Record], evaluated_until: float) -> None:
        """Publish what was found in a round of evaluations up to a time, together with that time.

        Only the partition's owner can: what a worker publishes that has lost it without knowing is refused by Kafka.
        """
        async with self.partitions.writing(partition) as table:
            if table is not None:
                await table.write(replace(table.place, evaluated_until=evaluated_until), records=records)

    def _places(self) -> dict[int, int]:
        return {partition: table.place.next_offset for partition, table in self.partitions.tables.items()}

    async def lag(self) -> tuple[int, dict[int, int]]:
        """How many input records are not in the table yet, and our place per partition."""
        ends, places = await self.ends(), self._places()
        return sum(max(0, end - places.get(partition, 0)) for partition, end in ends.items()), places
