"""The combiner: reads prediction events, sends partial histograms.

What it sends is a function of the log alone: it cuts each source partition into fixed chunks, reads every chunk
from its first offset, and sends cumulative partials of the open chunk. Therefore nothing here needs a
transaction: a replay, a regrouping or a zombie says the same again. Only complete chunks are committed.

    decode ─▶ add to the open chunk ─▶ emit (every interval, and at a chunk's end) ─▶ await Kafka ─▶ commit

Before anything is said, Kafka is asked whether the topic is still the one that was read: the same offsets of a
topic made anew are other events. Its new life has a new epoch, in the labels and in the name of the group.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, RebalanceInProgressError

from sentryml_common.contracts.prediction import EventRow, InvalidEvents, read_rows
from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.http.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.epochs import Life
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.metrics import CONSUMED_TOTAL, CONSUMER_LAG
from sentryml_drift.domain.chunks import ChunkRules, OpenChunk, chunk_of, end_of_chunk, start_of_chunk
from sentryml_drift.domain.partials import Partial, pack_records
from sentryml_drift.metrics import EVENTS, LAST_COMMIT, PARTIALS_SENT
from sentryml_drift.settings import DriftSettings
from sentryml_drift.watchdog import WATCH_SECONDS, Watchdog

log = get_logger(__name__)

GROUP = "sentryml.combiner"
RECORDS_PER_POLL = 5_000
RETRY_PAUSE_SECONDS = 1.0
METADATA_SECONDS = 15.0
PAUSE_PER_EMISSION = 9.0
"""With very many models an emission takes long; it is then made less often, so that it takes a tenth of the time: what
it says costs the processor three times as much. Only work counts: after waiting for Kafka there is nothing to make up
for, and what has waited is to be told at once."""


def group_of(epoch: int) -> str:
    """The consumer group that keeps the places in one life of the topic; those of another life mean nothing."""
    return f"{GROUP}.epoch-{epoch}"


class _ForgetOnRebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Open chunks do not survive a rebalance: whoever owns a partition next reads its chunk from the start."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._forget()
        log.info("partitions_assigned", partitions=sorted(tp.partition for tp in assigned))


@dataclass(slots=True)
class _Harvest:
    """What one round of reading brought: partials of completed chunks, their commits, dead letters."""

    partials: list[Partial]
    commits: dict[TopicPartition, int]
    letters: list[Record]

    def __bool__(self) -> bool:
        return bool(self.partials or self.commits or self.letters)


class Combiner:
    """Combines the partitions of `predictions.v1` that the group gives this process."""

    def __init__(
        self, settings: DriftSettings, rules: ChunkRules, life: Life, publisher: Publisher, dead_letters: DeadLetters
    ) -> None:
        self._settings, self._rules, self._life = settings, rules, life
        self._publisher, self._dead_letters = publisher, dead_letters
        self._chunks: dict[TopicPartition, OpenChunk] = {}
        self._sought: dict[TopicPartition, int] = {}
        self._generation = 0

    def _forget(self) -> None:
        """Drop all open chunks; what is being read at this moment belongs to an older generation."""
        self._generation += 1
        self._chunks.clear()
        self._sought.clear()

    async def run(self, health: Health) -> None:
        """Combine until cancelled."""

        def make() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(
                **client_options(self._settings),
                group_id=group_of(self._rules.epoch),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=int(self._settings.session_timeout_seconds * 1000),
                heartbeat_interval_ms=int(self._settings.session_timeout_seconds * 1000 / 5),
                max_partition_fetch_bytes=4 * 1024 * 1024,
                metadata_max_age_ms=int(METADATA_SECONDS * 1000),  # new partitions are found within this time
            )
            consumer.subscribe([PREDICTIONS.name], listener=_ForgetOnRebalance(self._forget))
            return consumer

        consumer = await start_client(make, self._settings, health)
        health.ready("start")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._combine(consumer))
                tasks.create_task(self._watch_movement(consumer))
        finally:
            await consumer.stop()

    async def _watch_movement(self, consumer: AIOKafkaConsumer) -> None:
        """Raise when input waits and none of it is read."""
        loop, watchdog = asyncio.get_running_loop(), Watchdog(self._settings.stall_seconds)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                ends = await consumer.end_offsets(list(consumer.assignment()))
                places = {tp.partition: await consumer.position(tp) for tp in ends}
            except KafkaError:  # Kafka is away, or the group is being balanced
                watchdog.excuse(loop.time())
                continue
            watchdog.look(sum(max(0, end - places[tp.partition]) for tp, end in ends.items()), places, loop.time())

    async def _combine(self, consumer: AIOKafkaConsumer) -> None:
        loop = asyncio.get_running_loop()
        next_emission = loop.time() + self._settings.emit_interval
        while True:
            wait = max(0.0, next_emission - loop.time())
            batches = await consumer.getmany(timeout_ms=int(wait * 1000), max_records=RECORDS_PER_POLL)
            try:
                harvest = await self._read(consumer, batches)
                begun, due = time.thread_time(), loop.time() >= next_emission
                if due:
                    harvest.partials += self._emit_open()
                if due or harvest:
                    await self._life.check()
                    await self._deliver(consumer, harvest)
                if due:
                    worked = time.thread_time() - begun
                    next_emission = loop.time() + max(self._settings.emit_interval, PAUSE_PER_EMISSION * worked)
            except Unavailable as err:
                log.warning("emission_failed", why=str(err))
                await self._start_chunks_over(consumer)
                await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer, batches: dict[TopicPartition, list[Any]]) -> _Harvest:
        harvest, generation = _Harvest([], {}, []), self._generation
        for partition, records in batches.items():
            for run in _by_chunk(records):
                first, last = run[0].offset, run[-1].offset
                chunk = self._open_chunk(partition, first, harvest)
                if chunk is None and await self._may_open(consumer, partition, first):
                    chunk = OpenChunk(partition.partition, chunk_of(first), self._rules)
                if chunk is None or generation != self._generation:
                    break  # sent back, or the group has moved on: these records come again
                self._chunks[partition] = chunk
                self._add(chunk, run, harvest)
                if last == end_of_chunk(chunk.number):
                    self._complete(partition, chunk, harvest)
            self._report(consumer, partition, records)
            await asyncio.sleep(0)
            if generation != self._generation:
                break
        return harvest

    def _open_chunk(self, partition: TopicPartition, offset: int, harvest: _Harvest) -> OpenChunk | None:
        """The open chunk that `offset` belongs to, if there is one."""
        chunk = self._chunks.get(partition)
        if chunk is None or chunk.number == chunk_of(offset):
            return chunk
        if chunk.number < chunk_of(offset):
            self._complete(partition, chunk, harvest)  # its last offsets hold no records (transaction markers)
        else:
            del self._chunks[partition]
        return None

    async def _may_open(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> bool:
        """Whether a chunk may be opened at `offset`: nothing readable lies before it in its chunk. Where
        something may, the consumer is sent back to the chunk's start."""
        start = start_of_chunk(chunk_of(offset))
        if offset == start or self._sought.get(partition) == start:
            return True  # the start itself, or the first that was there when we looked from the start on
        if partition not in consumer.assignment():
            return False
        first = (await consumer.beginning_offsets([partition]))[partition]
        if first > start:
            log.warning("chunk_cut_by_retention", partition=partition.partition, first=first, chunk_start=start)
        if partition in consumer.assignment():
            self._sought[partition] = start
            consumer.seek(partition, max(start, first))
        return False

    def _add(self, chunk: OpenChunk, records: list[Any], harvest: _Harvest) -> None:
        """Add to a chunk those of its records that are not in it yet."""
        rows: list[EventRow] = []
        times: list[float] = []
        for record in records:
            if record.offset > chunk.offset:
                events = self._events(record, harvest)
                rows += events
                times += [record.timestamp / 1000] * len(events)
        chunk.add(records[-1].offset, rows, times)

    def _events(self, record: Any, harvest: _Harvest) -> list[EventRow]:
        """The events of a record; none, and a dead letter, where it cannot be used."""
        try:
            return read_rows(record.value or b"")
        except InvalidEvents as err:
            harvest.letters.append(self._dead_letters.letter(record, UndecodableMessage("invalid_events", str(err))))
        except UndecodableMessage as err:
            harvest.letters.append(self._dead_letters.letter(record, err))
        EVENTS.labels(outcome="undecodable").inc()
        return []

    def _complete(self, partition: TopicPartition, chunk: OpenChunk, harvest: _Harvest) -> None:
        harvest.partials += _emitted(chunk, final=True)
        harvest.commits[partition] = end_of_chunk(chunk.number) + 1
        self._chunks.pop(partition, None)
        self._sought.pop(partition, None)

    def _emit_open(self) -> list[Partial]:
        return [partial for chunk in self._chunks.values() for partial in _emitted(chunk, final=False)]

    async def _deliver(self, consumer: AIOKafkaConsumer, harvest: _Harvest) -> None:
        """Publish, await all acknowledgements, and only then commit complete chunks."""
        records = [
            Record(HISTOGRAMS.name, None, value, partition)
            for partition, value in pack_records(harvest.partials, HISTOGRAMS.partitions)
        ]
        if records or harvest.letters:
            await self._publisher.publish([*harvest.letters, *records])
            PARTIALS_SENT.inc(len(harvest.partials))
        commits = {tp: offset for tp, offset in harvest.commits.items() if tp in consumer.assignment()}
        if commits:
            await self._commit(consumer, commits)

    async def _commit(self, consumer: AIOKafkaConsumer, commits: dict[TopicPartition, int]) -> None:
        try:
            await consumer.commit(commits)
            LAST_COMMIT.set_to_current_time()
        except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError) as err:
            log.info("commit_superseded", why=type(err).__name__)
        except KafkaError as err:
            raise Unavailable(f"Kafka did not take the commit: {type(err).__name__}: {err}") from err

    async def _start_chunks_over(self, consumer: AIOKafkaConsumer) -> None:
        """After a failure go back to the start of each open chunk: never on in its middle."""
        self._forget()
        for partition in consumer.assignment():
            committed = await consumer.committed(partition)
            if committed is None:
                await consumer.seek_to_beginning(partition)
            else:
                consumer.seek(partition, committed)

    def _report(self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: list[Any]) -> None:
        CONSUMED_TOTAL.labels(topic=partition.topic).inc(len(records))
        end = consumer.highwater(partition)
        if end is not None and records:
            lag = max(0, end - records[-1].offset - 1)
            CONSUMER_LAG.labels(topic=partition.topic, partition=partition.partition).set(lag)


def _by_chunk(records: list[Any]) -> Iterator[list[Any]]:
    """Cut records of a partition, in the order of their offsets, where chunks end."""
    begin = 0
    while begin < len(records):
        last = end_of_chunk(chunk_of(records[begin].offset))
        end = bisect_right(records, last, lo=begin, key=lambda record: record.offset)
        yield records[begin:end]
        begin = end


def _emitted(chunk: OpenChunk, *, final: bool) -> list[Partial]:
    """What a chunk emits, with its events noted in the metrics."""
    partials = chunk.emit(final=final)
    for outcome, count in chunk.outcomes.items():
        EVENTS.labels(outcome=outcome.value).inc(count)
    chunk.outcomes.clear()
    return partials
