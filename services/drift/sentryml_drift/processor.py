"""The processor: takes in partial histograms, keeps them in Faust's tables, exactly once.

Faust is plumbing here: group, assignment, tables, changelog. Our place in the input is our own, kept in the table
beside the panes (on Apache Kafka, Faust's own offsets lose messages at rebalances, measured):

    batch ─▶ skip what is below our place, seek back over a gap ─▶ merge into copies
          ─▶ write touched keys ─▶ await the changelog ─▶ write our place ─▶ await ─▶ the view follows

A batch during which the group has moved on is dropped, and read again by whoever owns the partition now.
Anything unexpected ends the process: what is not in the tables is read again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import faust
from faust.types import TP

from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.logging import get_logger
from sentryml_drift.domain.partials import Kind, Partial, Target, unpack_record
from sentryml_drift.metrics import BATCHES_DROPPED, GAPS, MODELS, PARTIALS_APPLIED, TABLE_WRITES
from sentryml_drift.owned_models import OwnedModels, Sum, add_partial, empty_sum
from sentryml_drift.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_drift.table import OwnedTable, applied_key, key_of, next_offset, pack_place

log = get_logger(__name__)

BATCH_RECORDS = 1000
EXIT_UNEXPECTED = 70


@dataclass(slots=True)
class _Draft:
    """What a batch would change: copies of the touched sums, our next place per partition."""

    sums: dict[Target, tuple[int, Sum]] = field(default_factory=dict)
    next_offsets: dict[int, int] = field(default_factory=dict)
    sent_back: set[int] = field(default_factory=set)


class Processor:
    """Keeps the tables `panes` and `models`, and the view of the models this worker owns."""

    def __init__(
        self, app: faust.App, settings: DriftSettings, epoch: int, dead_letters: DeadLetters, retention: Retention
    ) -> None:
        self.app, self._epoch = app, epoch
        self.models = OwnedModels()
        self._dead_letters, self._retention = dead_letters, retention
        self._expected: dict[int, int] = {}
        self._sought: dict[int, int] = {}
        self._loaded_generation: int | None = None
        self._ends: dict[int, int] = {}
        self._in_flight = asyncio.Lock()
        rocksdb = settings.store == "rocksdb"
        self._panes = self._table("panes", rocksdb)
        self._facts = self._table("models", rocksdb)
        self._batch_seconds = settings.batch_seconds
        self._input = app.topic(HISTOGRAMS.name, key_serializer="raw", value_serializer="raw", acks=False)
        app.agent(self._input, concurrency=1, isolated_partitions=False, name="processor")(self._consume)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_partitions_assigned.connect(self._assigned)

    def _table(self, name: str, rocksdb: bool) -> OwnedTable:
        table = OwnedTable(
            self.app, name=name, partitions=HISTOGRAMS.partitions, rocksdb=rocksdb, beacon=self.app.tables.beacon
        )
        table.on_recover(self._recovered)
        self.app.tables.add(table)
        return table

    def _table_of(self, target: Target) -> OwnedTable:
        return self._facts if target.kind is Kind.FACTS else self._panes

    def owned(self) -> set[int]:
        """The partitions whose tables this worker keeps."""
        name = self._panes.changelog_topic_name
        return {tp.partition for tp in self.app.assignor.assigned_actives() if tp.topic == name}

    async def _revoked(self, *_: Any, **__: Any) -> None:
        """Let the batch in flight end before the group is rejoined: its writes land before the next owner's."""
        async with self._in_flight:
            self._forget()

    async def _assigned(self, *_: Any, **__: Any) -> None:
        self._forget()

    async def _recovered(self) -> None:
        """What was read from the tables before they were complete is void."""
        self._forget()

    def _forget(self) -> None:
        self._expected.clear()
        self._sought.clear()
        self._ends.clear()
        self._loaded_generation = None

    async def _consume(self, stream: Any) -> None:
        async for events in stream.noack_take(BATCH_RECORDS, within=self._batch_seconds):
            try:
                async with self._in_flight:
                    await self._process(events)
            except Exception as err:  # the only way to keep Faust from going on over a hole
                log.error("batch_failed", exc_info=err)
                os._exit(EXIT_UNEXPECTED)

    async def _process(self, events: Iterable[Any]) -> None:
        generation = self.app.consumer_generation_id
        self._load(generation)
        draft = _Draft()
        for event in events:
            if event.message.generation_id == generation:
                await self._take(event, draft)
        if not draft.next_offsets:
            return
        self._write(draft)
        await self._durable()
        if self.app.consumer_generation_id != generation:
            BATCHES_DROPPED.inc()
            self._forget()
            return
        await self._advance(draft)

    def _load(self, generation: int) -> None:
        """Fill the view from the tables, once per generation."""
        if self._loaded_generation == generation:
            return
        owned = self.owned()
        self.models.by_id.clear()
        for table in (self._panes, self._facts):
            self.models.load(table.data.items(), owned)
        self._loaded_generation = generation
        MODELS.set(len(self.models.by_id))
        log.info("tables_read", partitions=sorted(owned), models=len(self.models.by_id), generation=generation)

    async def _take(self, event: Any, draft: _Draft) -> None:
        """Merge one record into the draft if it is the next of its partition."""
        partition, offset = event.message.partition, event.message.offset
        if partition in draft.sent_back:
            return
        expected = draft.next_offsets.get(partition, self._next(partition))
        if offset < expected:
            return
        if offset > expected and not await self._nothing_before(partition, expected, offset):
            draft.sent_back.add(partition)
            return
        draft.next_offsets[partition] = offset + 1
        try:
            partials = unpack_record(event.value)
            for partial in partials:
                self._merge(partition, partial, draft)
        except UndecodableMessage as err:
            PARTIALS_APPLIED.labels(outcome="undecodable").inc()
            await self._dead_letters.set_aside(event.message, err)

    def _next(self, partition: int) -> int:
        """The next input offset that is not in the tables yet."""
        if partition not in self._expected:
            self._expected[partition] = next_offset(self._panes.data.get(applied_key(partition)), self._epoch)
        return self._expected[partition]

    async def _nothing_before(self, partition: int, expected: int, offset: int) -> bool:
        """Whether no record lies between our place and `offset`; if one may, go back to our place."""
        topic_partition = TP(HISTOGRAMS.name, partition)
        first = (await self.app.consumer.earliest_offsets(topic_partition))[topic_partition]
        if self._sought.get(partition) == expected or offset == first:
            if first > expected:
                log.error("input_lost_to_retention", partition=partition, expected=expected, first=first)
            return True
        GAPS.inc()
        log.info("gap_in_input", partition=partition, expected=expected, offset=offset)
        self._sought[partition] = expected
        await self.app.consumer.seek(topic_partition, max(expected, first))
        return False

    def _merge(self, partition: int, partial: Partial, draft: _Draft) -> None:
        target = partial.target
        if self._retention.expired(target):
            PARTIALS_APPLIED.labels(outcome="expired").inc()
            return
        _, known = draft.sums.get(target, (partition, self.models.get(target)))
        before = known if known is not None else empty_sum(target.kind)
        after = add_partial(before, partial)
        PARTIALS_APPLIED.labels(outcome="ignored" if after is before else "applied").inc()
        # Kept even where nothing changed: the store may be ahead of its changelog after a crash, and writing
        # the key again is what brings the changelog level.
        draft.sums[target] = (partition, after)

    def _write(self, draft: _Draft) -> None:
        for target, (partition, known) in draft.sums.items():
            self._table_of(target)[key_of(partition, target)] = known.pack()

    async def _durable(self) -> None:
        for table in (self._panes, self._facts):
            TABLE_WRITES.inc(await table.durable())

    async def _advance(self, draft: _Draft) -> None:
        """Our place moves on, now that all before it is durable; the group's offsets follow for other tools."""
        for partition, offset in draft.next_offsets.items():
            self._panes[applied_key(partition)] = pack_place(self._epoch, offset)
        await self._durable()
        self._expected.update(draft.next_offsets)
        for partition in draft.next_offsets:
            self._sought.pop(partition, None)
        for target, (partition, known) in draft.sums.items():
            self.models.put(partition, target, known)
        MODELS.set(len(self.models.by_id))
        await self.app.consumer._commit({TP(HISTOGRAMS.name, p): offset for p, offset in draft.next_offsets.items()})

    async def caught_up(self) -> bool:
        """Whether the view holds everything that was in the input when this worker got its partitions.

        Until then an evaluation would take a backlog for a lack of events.
        """
        if self.app.rebalancing or self.app.in_recovery:
            return False
        async with self._in_flight:
            self._load(self.app.consumer_generation_id)
            owned = self.owned()
            if set(self._ends) != owned:
                self._ends = await self._ends_now()
            return bool(owned) and all(self._next(partition) >= end for partition, end in self._ends.items())

    async def lag(self) -> tuple[int, dict[int, int]]:
        """How many input records are not in the tables yet, and our place per partition."""
        ends = await self._ends_now()
        places = {partition: self._next(partition) for partition in ends}
        return sum(max(0, end - places[partition]) for partition, end in ends.items()), places

    async def _ends_now(self) -> dict[int, int]:
        partitions = [TP(HISTOGRAMS.name, partition) for partition in self.owned()]
        return {tp.partition: end for tp, end in (await self.app.consumer.highwaters(*partitions)).items()}

    async def purge(self) -> int:
        """Delete what no window can reach any more; return how many keys."""
        async with self._in_flight:
            expired = [
                (model.partition, Target(model_id, kind, pane))
                for model_id, model in self.models.by_id.items()
                for kind, pane in model.sums
                if self._retention.expired(Target(model_id, kind, pane))
            ]
            for partition, target in expired:
                del self._table_of(target)[key_of(partition, target)]
                self.models.remove(target)
            await self._durable()
        return len(expired)
