"""The processor: takes in partial histograms, and keeps the sums in its table, exactly once.

Faust is plumbing here: group, assignment, stream. It keeps neither our place in the input (on Apache Kafka, its own
offsets lose messages at rebalances, measured) nor the table (its changelog cannot shut out a stale writer):

    batch ─▶ skip what is below our place, seek back over a gap ─▶ merge into copies
          ─▶ write the touched keys and our new place as one transaction ─▶ the view follows

A partition of the table is taken over when it is first needed, which shuts out whoever held it before. A worker that
finds itself shut out, or meets anything unexpected, ends: what is not in the table is read again by the next one.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import faust
from faust.types import TP

from sentryml_common.contracts.topics import ACTIVITY, HISTOGRAMS
from sentryml_common.errors import ConfigurationError, UndecodableMessage
from sentryml_common.http.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import Record
from sentryml_common.logging import get_logger
from sentryml_drift.changelog import FencedOff
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.partials import Partial, Target, unpack_record
from sentryml_drift.metrics import BATCHES_DROPPED, GAPS, MODELS, PARTIALS_APPLIED, PARTITIONS, TABLE_VALUES
from sentryml_drift.owned_models import OwnedModels, add_partial
from sentryml_drift.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_drift.table import Table

log = get_logger(__name__)

BATCH_RECORDS = 1000
BATCH_BYTES = 1024 * 1024
"""So much is made durable at once at most: after a long absence there is far more input than can be held as a draft."""
GATHER_SECONDS = 0.05
"""What has arrived meanwhile is taken within this time; most of the gathering is done by pausing between batches."""

EXIT_UNEXPECTED = 70

OpenTable = Callable[[int], Awaitable[Table]]


@dataclass(slots=True)
class _Draft:
    """What a batch would change: copies of the touched sums by partition, our next place per partition; and what
    became of its partials."""

    sums: dict[int, dict[Target, ChunkedSum]] = field(default_factory=lambda: defaultdict(dict))
    next_offsets: dict[int, int] = field(default_factory=dict)
    sent_back: set[int] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)


class Processor:
    """Keeps the partitions of the table that the group gives this worker, and the view of their models."""

    def __init__(
        self,
        app: faust.App,
        settings: DriftSettings,
        open_table: OpenTable,
        dead_letters: DeadLetters,
        retention: Retention,
        health: Health,
    ) -> None:
        self.app = app
        self.models = OwnedModels()
        self._open_table, self._dead_letters, self._retention = open_table, dead_letters, retention
        self._health = health
        self._owned: set[int] = set()
        self._tables: dict[int, Table] = {}
        self._sought: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._in_flight = asyncio.Lock()
        self._stopped = False
        self._input = app.topic(HISTOGRAMS.name, key_serializer="raw", value_serializer="raw", acks=False)
        self._batch_seconds = settings.batch_seconds
        app.agent(self._input, concurrency=1, isolated_partitions=False, name="processor")(self._consume)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_partitions_assigned.connect(self._assigned)

    async def _revoked(self, *_: Any, **__: Any) -> None:
        """Let the batch in flight end before the group is rejoined: the next owner need not read it again."""
        async with self._in_flight:
            self._forget()

    async def _assigned(self, _: faust.App, assigned: Iterable[TP], **__: Any) -> None:
        self._owned = {tp.partition for tp in assigned if tp.topic == HISTOGRAMS.name}
        self._forget()
        log.info("partitions_assigned", partitions=sorted(self._owned))

    def _forget(self) -> None:
        self._sought.clear()
        self._ends.clear()

    async def stop(self) -> None:
        """Let the batch in flight end, take in no other, and let go of all partitions."""
        async with self._in_flight:
            self._stopped = True
            await asyncio.gather(*(table.close() for table in self._tables.values()))
            self._tables.clear()

    async def _consume(self, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        async for events in stream.noack_take(BATCH_RECORDS, within=GATHER_SECONDS):
            begun, batches = loop.time(), list(_by_bytes(events))
            try:
                for batch in batches:
                    async with self._in_flight:
                        if not self._stopped:
                            await self._process(batch)
            except FencedOff as err:
                log.warning("fenced_off", why=str(err))
                os._exit(EXIT_UNEXPECTED)
            except ConfigurationError as err:  # who watches over us meets it too, and ends the process with it
                log.error("partition_not_taken_over", why=str(err))
            except Exception as err:  # the only way to keep Faust from going on over a hole
                log.error("batch_failed", exc_info=err)
                os._exit(EXIT_UNEXPECTED)
            if len(batches) == 1:  # where there was more, more is waiting
                await asyncio.sleep(begun + self._batch_seconds - loop.time())

    async def _process(self, events: Iterable[Any]) -> None:
        generation = self.app.consumer_generation_id
        await self._hold_owned()
        draft = _Draft()
        for event in events:
            if event.message.generation_id == generation and event.message.partition in self._tables:
                await self._take(event, draft)
                await asyncio.sleep(0)
        if self.app.consumer_generation_id != generation:
            BATCHES_DROPPED.inc()
            return
        await asyncio.gather(*(self._write(partition, draft) for partition in draft.next_offsets))
        for outcome, count in draft.outcomes.items():
            PARTIALS_APPLIED.labels(outcome=outcome).inc(count)
        MODELS.set(len(self.models.by_id))
        if draft.next_offsets:  # for tools that show lag; nobody here reads it
            await self.app.consumer._commit(
                {TP(HISTOGRAMS.name, p): offset for p, offset in draft.next_offsets.items()}
            )

    async def _hold_owned(self) -> None:
        """Take over the partitions that are ours and not held yet; let go of those that are ours no more."""
        for partition in set(self._tables) - self._owned:
            await self._tables.pop(partition).close()
            self.models.drop(partition)
        for partition in sorted(self._owned - set(self._tables)):
            table = await self._open_table(partition)
            self._note_tables()
            self.models.load(partition, await table.recover(self._health))
            self._tables[partition] = table
        self._note_tables()

    def _note_tables(self) -> None:
        PARTITIONS.labels(state="held").set(len(self._tables))
        PARTITIONS.labels(state="recovering").set(len(self._owned - set(self._tables)))

    async def _take(self, event: Any, draft: _Draft) -> None:
        """Merge one record into the draft if it is the next of its partition."""
        partition, offset = event.message.partition, event.message.offset
        if partition in draft.sent_back:
            return
        expected = draft.next_offsets.get(partition, self._tables[partition].place.next_offset)
        if offset < expected:
            return
        if offset > expected and not await self._nothing_before(partition, expected, offset):
            draft.sent_back.add(partition)
            return
        draft.next_offsets[partition] = offset + 1
        try:
            for partial in unpack_record(event.value):
                self._merge(partition, partial, draft)
        except UndecodableMessage as err:
            draft.outcomes["undecodable"] += 1
            await self._dead_letters.set_aside(event.message, err)

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
            draft.outcomes["expired"] += 1
            return
        sums = draft.sums[partition]
        known = sums.get(target) or self.models.get(target) or NOTHING
        merged = add_partial(known, partial)
        draft.outcomes["ignored" if merged is known else "applied"] += 1
        if merged is not known:
            sums[target] = merged

    async def _write(self, partition: int, draft: _Draft) -> None:
        """Make one partition's part of a batch durable; then the view follows."""
        packed = {target: known.pack() for target, known in draft.sums[partition].items()}
        table = self._tables[partition]
        await table.write(replace(table.place, next_offset=draft.next_offsets[partition]), packed.items())
        self._sought.pop(partition, None)
        for target, value in packed.items():
            self.models.put(partition, target, value, draft.sums[partition][target])

    async def caught_up(self) -> bool:
        """Whether the view holds everything that was in the input when this worker got its partitions.

        Until then an evaluation would take a backlog for a lack of events.
        """
        if self.app.rebalancing:
            return False
        async with self._in_flight:
            if self._stopped:
                return False
            await self._hold_owned()
            if set(self._ends) != self._owned:
                self._ends = await self._ends_now()
            places = self._places()
            return bool(places) and all(places.get(partition, 0) >= end for partition, end in self._ends.items())

    def holds_all(self) -> bool:
        """Whether the partitions that are ours have all been taken over and recovered."""
        return not self.app.rebalancing and self._owned <= set(self._tables)

    def _table_of(self, partition: int) -> Table | None:
        """The table of a partition while it is ours. One that has gone to another, or may be going, is held for a
        moment still: who wrote to it would be fenced off, and end, for nothing."""
        going = self.app.rebalancing or not self.owns(partition)
        return None if going else self._tables.get(partition)

    def owns(self, partition: int) -> bool:
        """Whether a partition is ours; one that has gone to another is still in the view for a moment."""
        return partition in self._owned

    def evaluated_until(self) -> dict[int, float | None]:
        """By partition, the time until which its models have been evaluated, here or by an earlier owner."""
        return {partition: table.place.evaluated_until for partition, table in self._tables.items()}

    async def publish(self, partition: int, records: list[Record], evaluated_until: float) -> None:
        """Publish what was found in a round of evaluations up to a time, together with that time.

        Only the partition's owner can: what a worker publishes that has lost it without knowing is refused by Kafka.
        """
        async with self._in_flight:
            table = self._table_of(partition)
            if table is not None:
                await table.write(replace(table.place, evaluated_until=evaluated_until), records=records)

    def _places(self) -> dict[int, int]:
        return {partition: table.place.next_offset for partition, table in self._tables.items()}

    async def lag(self) -> tuple[int, dict[int, int]]:
        """How many input records are not in the table yet, and our place per partition."""
        ends, places = await self._ends_now(), self._places()
        return sum(max(0, end - places.get(partition, 0)) for partition, end in ends.items()), places

    async def _ends_now(self) -> dict[int, int]:
        partitions = [TP(HISTOGRAMS.name, partition) for partition in self._owned]
        return {tp.partition: end for tp, end in (await self.app.consumer.highwaters(*partitions)).items()}

    async def purge(self) -> int:
        """Delete what no window can reach any more; return how many keys."""
        async with self._in_flight:
            TABLE_VALUES.set(sum(len(model.sums) for model in self.models.by_id.values()))
            expired: dict[int, list[Target]] = defaultdict(list)
            for model_id, model in self.models.by_id.items():
                targets = (Target(model_id, kind, pane) for kind, pane in model.sums)
                expired[model.partition] += filter(self._retention.expired, targets)
            for partition, targets_gone in expired.items():
                table = self._table_of(partition)
                if targets_gone and table is not None:
                    await table.write(table.place, ((target, None) for target in targets_gone))
                    for target in targets_gone:
                        self.models.remove(target)
        return sum(map(len, expired.values()))

    async def forget(self, deleted: Mapping[str, float]) -> int:
        """Free everything of the models that were deleted (when, by id; epoch seconds); return how many.

        One that has been seen since is another model by the same name: of it, only what was over by then is freed.
        What the combiner says of a deleted model once more, after a restart, is freed by the next look. Its activity is
        deleted with it, so that nobody who reads the topic anew takes the model for one that exists.
        """
        async with self._in_flight:
            known = [(model_id, at) for model_id, at in deleted.items() if model_id in self.models.by_id]
            return sum([await self._forget_model(model_id, at) for model_id, at in known])

    async def _forget_model(self, model_id: str, deleted_at: float) -> bool:
        model = self.models.by_id[model_id]
        table = self._table_of(model.partition)
        if table is None:
            return False
        again = model.seen_after(deleted_at)
        targets = [Target(model_id, kind, pane) for kind, pane in model.sums]
        gone = [each for each in targets if self._retention.ended(each, deleted_at)] if again else targets
        if gone:
            records = [] if again else [Record(ACTIVITY.name, model_id.encode(), None)]
            await table.write(table.place, ((target, None) for target in gone), records)
            for target in gone:
                self.models.remove(target)
        if not again:
            self.models.forget(model_id)
            log.info("model_forgotten", model_id=model_id, values=len(gone))
        return not again


def _by_bytes(events: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut events into batches of about BATCH_BYTES."""
    batch: list[Any] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(event.value or b"")
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
