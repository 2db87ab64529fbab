"""The loop of the combiner: read, emit at intervals, commit what is complete.

Before anything is emitted, Kafka is asked whether the topic is still the one that was read: the same offsets of a
topic that was recreated are other events. Its new incarnation has a new epoch, in the labels and in the group's name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.prediction import EventRow, InvalidEvents, read_rows, request_id_in
from sentryml_common.contracts.topics import COMBINER_GROUP, PREDICTIONS
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.health import Health
from sentryml_common.kafka.client import start_client
from sentryml_common.kafka.consumer import Consumer
from sentryml_common.kafka.consumer import make_consumer as make_member
from sentryml_common.kafka.dead_letter import DeadLetters, UncommittedDeadLetters
from sentryml_common.kafka.epochs import TopicIncarnation
from sentryml_common.kafka.lag import LagSeries
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.metrics import CONSUMED_TOTAL
from sentryml_drift.combiner.emission import Emitter
from sentryml_drift.combiner.partition import OpenPartition
from sentryml_drift.combiner.stall_detection import Progress
from sentryml_drift.combiner.stored_ids import ReadStored, records_of
from sentryml_drift.domain.chunks import MOST_RECORD_BYTES, ROWS_AT_ONCE, ChunkRules, OpenChunk, size_class_of
from sentryml_drift.domain.read_report import ReadReport
from sentryml_drift.domain.repeats import Piece, SeenIds
from sentryml_drift.domain.resume_offsets import Places
from sentryml_drift.domain.unreadable import explained
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.metrics import EVENTS, LAST_COMMIT
from sentryml_drift.settings import DriftSettings

log = get_logger(__name__)

BYTES_PER_POLL = 4 * 1024 * 1024
MOST_RECORDS_PER_POLL = 5_000
RETRY_PAUSE_SECONDS = 1.0
PAUSE_PER_EMISSION, LONGEST_PAUSE_SECONDS = 9.0, 15.0
"""With very many models an emission takes long; it is then made less often, so that it takes a tenth of the time: each
costs the processor three times as much. Only CPU time counts: waiting for Kafka does not delay the next emission."""

SUPERSEDED = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
"""What Kafka answers to a worker whose partitions have gone, or are going, to another."""

MOST_COMPLETE_WORK = 50_000
"""Targets and rows of complete chunks that may wait for the next emission: some 35 MB."""

Committed = Callable[[], Awaitable[dict[TopicPartition, OffsetAndMetadata]]]
"""Asks for what the group has committed."""


MakeConsumer = Callable[[DriftSettings, str], Consumer]
"""Makes a consumer of a group, which is not started yet."""


def make_consumer(settings: DriftSettings, group: str) -> Consumer:
    """A consumer of the real Kafka."""
    return make_member(settings, group, settings.session_timeout_seconds, max_partition_fetch_bytes=BYTES_PER_POLL)


def group_of(epoch: int) -> str:
    """The consumer group that keeps the places in one incarnation of the topic; those of another mean nothing."""
    return f"{COMBINER_GROUP}.epoch-{epoch}"


class _ForgetOnRebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Open chunks do not survive a rebalance: the next owner of a partition reads its chunks from their start."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._forget()
        log.info("partitions_assigned", partitions=sorted(tp.partition for tp in assigned))


class Combiner:
    """Combines the partitions of `predictions.v1` that the group gives this process."""

    def __init__(
        self,
        settings: DriftSettings,
        rules: ChunkRules,
        incarnation: TopicIncarnation,
        publisher: Publisher,
        dead_letters: DeadLetters,
        committed: Committed,
        stored: ReadStored,
        make: MakeConsumer = make_consumer,
        clock: Clock = system_clock,
    ) -> None:
        self._settings, self._rules, self._incarnation = settings, rules, incarnation
        self._publisher, self._dead_letters = publisher, dead_letters
        self._committed, self._stored, self._make, self._clock = committed, stored, make, clock
        self._lag = LagSeries(PREDICTIONS.name)
        self._pace, self._dead_lettered = Pacer(), UncommittedDeadLetters()
        self._partitions: dict[TopicPartition, OpenPartition] = {}
        self._commits: dict[TopicPartition, Places] = {}
        self._reported: dict[int, float] = {}
        self._record_bytes = float(MOST_RECORD_BYTES)
        self._generation = 0

    def _forget(self) -> None:
        """Drop all open chunks; what is being read at this moment belongs to an older generation."""
        self._generation += 1
        self._partitions.clear()
        self._commits.clear()
        self._lag.clear()

    async def run(self, health: Health) -> None:
        """Combine until cancelled."""

        def make() -> Consumer:
            consumer = self._make(self._settings, group_of(self._rules.epoch))
            consumer.subscribe([self._settings.prefixed(PREDICTIONS.name)], listener=_ForgetOnRebalance(self._forget))
            return consumer

        while True:
            consumer = await start_client(make, self._settings, health)
            health.ready("start")
            try:
                await self._with(consumer, health)
            except* KafkaError as group:  # a consumer that has failed fails for good; another one may work
                log.warning("consumer_replaced", why=[f"{type(err).__name__}: {err}" for err in group.exceptions])
            finally:
                self._forget()
                await consumer.stop()
            await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def _with(self, consumer: Consumer, health: Health) -> None:
        """Combine with this consumer until it fails."""
        progress = Progress(health, self._settings.stall_seconds, self._clock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.combine(consumer, progress))
            tasks.create_task(progress.watch(consumer))

    async def combine(self, consumer: Consumer, progress: Progress) -> None:
        """Read and emit until cancelled."""
        loop, emitter = asyncio.get_running_loop(), Emitter(self._publisher, progress.published)
        emitted_at, next_emission = loop.time(), loop.time() + self._settings.emit_interval
        while True:
            try:
                await self._open_assigned(consumer)
                await self._read(consumer, next_emission - loop.time())
                if loop.time() >= next_emission:
                    begun, seconds, emitted_at = time.thread_time(), loop.time() - emitted_at, loop.time()
                    await self._emit_all(emitter, consumer, seconds, progress)
                    pause = min(PAUSE_PER_EMISSION * (time.thread_time() - begun), LONGEST_PAUSE_SECONDS)
                    next_emission = loop.time() + max(self._settings.emit_interval, pause)
                elif self._complete_work() > MOST_COMPLETE_WORK:
                    await self._emit_complete(emitter)
            except Unavailable as err:
                log.warning("emission_failed", why=str(err))
                self._forget()  # never on in the middle of a chunk: what was emitted of it is not known
                progress.read_times.forget()
                await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def _open_assigned(self, consumer: Consumer) -> None:
        """Begin to read partitions that are new, or were forgotten, where the group's commit says."""
        unopened = consumer.assignment() - self._partitions.keys()
        if not unopened:
            return
        generation, commits = self._generation, await self._committed()
        # After the commits: what was written before them is there then.
        stored = await self._stored([partition.partition for partition in unopened])
        try:
            firsts = await consumer.beginning_offsets(list(unopened))
            for partition, first in firsts.items():
                if generation == self._generation:
                    ids = stored.get(partition.partition, ())
                    self._open(consumer, partition, first, commits.get(partition), ids)
                    await self._pace()
        except IllegalStateError:  # it has gone to another in this moment
            return
        except KafkaError as err:
            raise Unavailable(f"Kafka did not report the committed offsets: {type(err).__name__}: {err}") from err

    def _open(
        self,
        consumer: Consumer,
        partition: TopicPartition,
        first: int,
        commit: OffsetAndMetadata | None,
        stored: Sequence[tuple[Piece, bytes]],
    ) -> None:
        places = Places.all_from(first) if commit is None else Places.committed(commit.offset, commit.metadata)
        if places.offset < first:
            log.warning("chunk_cut_by_retention", partition=partition.partition, needed=places.offset, first=first)
        start = max(places.offset, first)
        consumer.seek(partition, start)
        ids = SeenIds(self._rules.epoch, partition.partition, start, stored)
        self._partitions[partition] = OpenPartition(partition.partition, places, self._rules, ids)

    async def _read(self, consumer: Consumer, seconds: float) -> None:
        """Read what there is, or wait for it for this long at most; add it to the open chunks."""
        most = min(MOST_RECORDS_PER_POLL, max(1, int(BYTES_PER_POLL / self._record_bytes)))
        generation = self._generation
        batches = await consumer.getmany(timeout_ms=max(0, int(seconds * 1000)), max_records=most)
        if generation != self._generation:
            return  # the group has moved on: these records are read again
        letters: list[tuple[Any, Record]] = []
        for partition, records in batches.items():
            opened = self._partitions.get(partition)
            if opened is None:
                continue  # the start offset is not known yet: these records are read again
            for record in records:
                _check_order(opened, record.offset)
                chunk = self._add(opened, record, letters)
                if chunk is not None and (chunk.complete or chunk.waiting >= ROWS_AT_ONCE):
                    await self._count(chunk)
                else:
                    await self._pace()
                if generation != self._generation:
                    return
            self._report(consumer, partition, records)
        if letters:
            await self._publisher.publish([letter for _, letter in letters])
            for record, _ in letters:
                self._dead_lettered.add(record)

    def _add(self, opened: OpenPartition, record: Any, letters: list[tuple[Any, Record]]) -> OpenChunk | None:
        """Add a record to its chunk; return that."""
        value, chunk = record.value or b"", None
        repeated = bool(record.headers) and opened.is_repeat(record.offset, request_id_in(record.headers))
        # The next poll takes fewer records where these are long, so that what it brings stays small.
        self._record_bytes = max(len(value), 0.99 * self._record_bytes, 1.0)
        size_class = size_class_of(len(value))
        if size_class is None:
            detail = f"a record may hold {MOST_RECORD_BYTES:,} bytes, this one has {len(value):,}: send fewer at a time"
            self._refuse(record, UndecodableMessage("record_too_long", detail), letters)
        else:
            chunk = opened.chunk_for(record.offset, size_class)
            if chunk is not None:
                events = self._events(record, value, letters)
                chunk.add(record.offset, events, record.timestamp / 1000, repeated=repeated)
                if repeated:
                    EVENTS.labels(outcome="repeated").inc(len(events))
        opened.read_through(record.offset)
        return chunk

    async def _count(self, chunk: OpenChunk) -> None:
        while chunk.waiting >= ROWS_AT_ONCE or (chunk.complete and chunk.waiting):
            chunk.count()
            await self._pace()

    def _events(self, record: Any, value: bytes, letters: list[tuple[Any, Record]]) -> list[EventRow]:
        """The events of a record; none, and a dead letter, where it cannot be used."""
        try:
            return read_rows(value)
        except InvalidEvents as err:
            self._refuse(record, UndecodableMessage("invalid_events", str(err)), letters)
        except UndecodableMessage as err:
            self._refuse(record, explained(value, err), letters)
        return []

    def _refuse(self, record: Any, error: UndecodableMessage, letters: list[tuple[Any, Record]]) -> None:
        """Dead-letter a record, unless that was done when it was read before."""
        EVENTS.labels(outcome="undecodable").inc()
        if not self._dead_lettered.has(record):
            letters.append((record, self._dead_letters.letter(record, error)))

    def _complete_work(self) -> int:
        return sum(opened.complete_work() for opened in self._partitions.values())

    async def _emit_complete(self, emitter: Emitter) -> None:
        """Count and emit the complete chunks' live targets, to free their memory; all others have time."""
        await self._incarnation.check()
        await emitter.emit_complete(list(self._partitions.values()))

    async def _emit_all(self, emitter: Emitter, consumer: Consumer, seconds: float, progress: Progress) -> None:
        """Emit what was touched in `seconds`; once it is acknowledged, report how far partitions have been read, keep
        the ids of what has been read, and commit what is not needed again."""
        await self._incarnation.check()
        await self._skip_to_positions(consumer)
        generation, partitions = self._generation, dict(self._partitions)
        await emitter.emit(list(partitions.values()), seconds)
        if generation != self._generation:
            return
        offsets = {partition.partition: opened.offset for partition, opened in partitions.items()}
        progress.emitted(offsets)
        await self._report_reading(emitter, consumer, partitions, progress.read_times.read(offsets))
        if generation != self._generation:
            return
        await self._keep_ids(partitions)
        if generation != self._generation:
            return
        places = {partition: opened.places() for partition, opened in partitions.items()}
        await self._commit(consumer, {tp: each for tp, each in places.items() if self._commits.get(tp) != each})

    async def _report_reading(
        self,
        emitter: Emitter,
        consumer: Consumer,
        partitions: dict[TopicPartition, OpenPartition],
        read_until: dict[int, float],
    ) -> None:
        """Report what has come in, and how far the log has been read wherever that has changed."""
        numbers = [consumer.partitions_for_topic(each) or () for each in {partition.topic for partition in partitions}]
        reading = ReadReport(self._rules.epoch, max(map(len, numbers), default=0), read_until)
        moved = bool(read_until.items() - self._reported.items())
        await emitter.report(list(partitions.values()), reading, everywhere=moved)
        self._reported = read_until

    async def _keep_ids(self, partitions: dict[TopicPartition, OpenPartition]) -> None:
        """Keep the ids of all that has been read, for those who will begin there."""
        for partition, opened in partitions.items():
            committed = self._commits.get(partition)
            changes = opened.ids.changes(0 if committed is None else committed.offset)
            await self._publisher.publish(records_of(partition.partition, changes))

    async def _skip_to_positions(self, consumer: Consumer) -> None:
        """Note that offsets without records have been passed (transaction markers, aborted transactions)."""
        for partition in list(self._partitions):
            try:
                position = await consumer.position(partition)
            except IllegalStateError:  # it has gone to another
                continue
            opened = self._partitions.get(partition)
            if opened is not None:
                _check_order(opened, position)
                opened.read_through(position - 1)

    async def _commit(self, consumer: Consumer, places: dict[TopicPartition, Places]) -> None:
        try:
            if places:
                await consumer.commit(
                    {tp: OffsetAndMetadata(each.offset, each.metadata) for tp, each in places.items()}
                )
        except SUPERSEDED as err:
            log.info("commit_superseded", why=type(err).__name__)
        except KafkaError as err:
            raise Unavailable(f"Kafka did not accept the commit: {type(err).__name__}: {err}") from err
        else:
            self._commits |= places
            self._dead_lettered.committed({partition: each.offset for partition, each in places.items()})
            LAST_COMMIT.set_to_current_time()

    def _report(self, consumer: Consumer, partition: TopicPartition, records: list[Any]) -> None:
        CONSUMED_TOTAL.labels(topic=PREDICTIONS.name).inc(len(records))
        if partition in consumer.assignment():
            self._lag.show(partition.partition, records[-1].offset + 1, consumer.highwater(partition))


def _check_order(opened: OpenPartition, offset: int) -> None:
    """See that the log goes on where reading has come to.

    Raises:
        Unavailable: it has become shorter, and Kafka begins at its start again: what is open has to be read again.
    """
    if offset < opened.offset:
        raise Unavailable(f"the log has become shorter: offset {offset} comes after {opened.offset - 1}")
