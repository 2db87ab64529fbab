"""Kafka in memory, for tests of what happens between its calls: partitions, groups, rebalances, faults.

Clients see it behind the calls of aiokafka that our code uses (`MemoryConsumer`, `MemoryProducer`), and it does what
aiokafka does where that hurts; `tests/integration/common/test_memory_log.py` holds it against a real Kafka. All that
happens by chance is drawn from one seed. In a `VirtualTimeLoop` a schedule of minutes takes milliseconds.

    log = MemoryLog(seed, Chances(rebalance=0.05, commit=0.1))
    log.create("topic", partitions=2)
    consumer = log.consumer("topic", group_id="group")      # as AIOKafkaConsumer("topic", group_id="group")
    publisher = log.publisher()                             # a Publisher
    log.group("group").rebalance()                          # now, not by chance
    log.fail_next("commit", CommitFailedError())            # the next call of that name
    consumer.kill()                                         # its group notices after the session's time
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner

from sentryml_common.health import Health
from sentryml_common.kafka.producer import Publisher
from sentryml_common.settings import KafkaSettings
from tests.support.memory_consumer import MemoryConsumer
from tests.support.memory_group import Group

PUBLISH_ERRORS = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, NotEnoughReplicasError)


Headers: TypeAlias = tuple[tuple[str, bytes], ...]
_Line: TypeAlias = deque[tuple[bytes | None, bytes | None, Headers, asyncio.Future[None]]]


@dataclass(frozen=True, slots=True)
class Chances:
    """How often which fault: a probability per call. Without any, only the lengths of pauses are left to chance."""

    rebalance: float = 0.0
    """Before any call of a member of a group, the group is balanced."""
    commit: float = 0.0
    """A commit is refused; half of the time after it was taken."""
    publish: float = 0.0
    """A record is refused; half of the time after it was taken."""
    getmany: float = 0.0
    """Reading fails with an error of the group's coordination."""
    short_read: float = 0.0
    """Reading brings fewer records than there are."""
    longest_pause: float = 0.05
    """Any call takes up to that number of seconds."""


@dataclass(slots=True)
class Partition:
    """Records by offset; `first` is the first that retention has left, `end` the next to be given."""

    records: list[ConsumerRecord] = field(default_factory=list)
    first: int = 0
    end: int = 0

    def read(self, position: int, most: int) -> tuple[list[ConsumerRecord], int]:
        """Up to `most` records from `position` on, and the position after them: past holes, once all is read."""
        first = bisect_left(self.records, position, key=lambda record: record.offset)
        found = self.records[first : first + most]
        return found, found[-1].offset + 1 if len(found) == most else self.end


class MemoryLog:
    """All topics and groups. `heartbeat_seconds`: members hear of a rebalance within this time; who is dead for
    `session_seconds` is thrown out of its group."""

    def __init__(
        self,
        seed: int = 0,
        chances: Chances | None = None,
        heartbeat_seconds: float = 3.0,
        session_seconds: float = 15.0,
    ) -> None:
        self.rng = random.Random(seed)
        self.chances = chances or Chances()
        self.heartbeat_seconds, self.session_seconds = heartbeat_seconds, session_seconds
        self._topics: dict[str, list[Partition]] = {}
        self._ids: dict[str, UUID] = {}
        self._groups: dict[str, Group] = {}
        self._failing: defaultdict[str, deque[BaseException]] = defaultdict(deque)
        self.most_bytes = 1_048_576
        """Longer values are refused, as by the client itself."""
        self._changed = asyncio.Event()
        self._held: set[str] = set()

    # What a test does with it

    def create(self, topic: str, partitions: int = 1) -> None:
        """Make a topic, or add partitions to it."""
        known = self._topics.setdefault(topic, [])
        self._ids.setdefault(topic, UUID(int=self.rng.getrandbits(128)))
        known += [Partition() for _ in range(len(known), partitions)]
        self.notify()

    def delete(self, topic: str) -> None:
        """Delete a topic, to make it again: its offsets begin at 0 again."""
        del self._topics[topic], self._ids[topic]

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp: int = 1_795_392_000_000,
        headers: Headers = (),
    ) -> int:
        """Write a record, `timestamp` in milliseconds; returns its offset."""
        partition = self.partition_for(topic, key) if partition is None else partition
        into = self._topics[topic][partition]
        sizes = [-1 if part is None else len(part) for part in (key, value)]
        into.records.append(ConsumerRecord(topic, partition, into.end, timestamp, 0, key, value, None, *sizes, headers))
        into.end += 1
        self.notify()
        return into.end - 1

    def partition_for(self, topic: str, key: bytes | None) -> int:
        """The partition of a key, as Kafka's own clients choose it; without a key, any."""
        numbers = list(range(len(self._topics[topic])))
        return self.rng.choice(numbers) if key is None else int(DefaultPartitioner()(key, numbers, numbers))

    def skip(self, topic: str, partition: int = 0, count: int = 1) -> None:
        """Use up offsets that no reader sees: a transaction's marker, what it took back, what compaction removed."""
        self._topics[topic][partition].end += count
        self.notify()

    def delete_before(self, tp: TopicPartition, offset: int) -> None:
        """Retention: what lies before `offset` is gone."""
        part = self.partition(tp)
        part.records = [record for record in part.records if record.offset >= offset]
        part.first = max(part.first, offset)

    def records(self, topic: str) -> list[ConsumerRecord]:
        """All records of a topic, by partition and offset."""
        return [record for part in self._topics[topic] for record in part.records]

    def fail_next(self, call: str, error: BaseException) -> None:
        """The next call of this name ("commit", "getmany", "publish", "committed", …) raises `error`."""
        self._failing[call].append(error)

    def hold(self, topic: str) -> None:
        """The broker that leads a topic does not answer who writes, until `release`."""
        self._held.add(topic)

    def release(self, topic: str) -> None:
        """It answers again."""
        self._held.discard(topic)
        self.notify()

    def group(self, name: str) -> Group:
        """A group, made when it is first asked for."""
        return self._groups.setdefault(name, Group(self))

    def consumer(self, *topics: str, group_id: str | None = None, **options: Any) -> MemoryConsumer:
        """As `AIOKafkaConsumer(*topics, group_id=…)`; of the other options `auto_offset_reset` counts."""
        return MemoryConsumer(self, *topics, group_id=group_id, **options)

    def publisher(self) -> Publisher:
        """A `Publisher` into this log."""
        return Publisher(MemoryProducer(self))

    @asynccontextmanager
    async def open_topic_ids(self, *_: Any) -> AsyncIterator[MemoryTopicIds]:
        """As `open_topic_ids` of the real one."""
        yield MemoryTopicIds(self, self._ids)

    # What its clients do with it

    async def at(self, call: str, group: Group | None = None) -> None:
        """A client is at this call: let time pass, and what chance or the test wants happen.

        Raises:
            BaseException: what the test has asked for.
        """
        await asyncio.sleep(self.rng.random() * self.chances.longest_pause)
        if group is not None and self.happens(self.chances.rebalance):
            group.rebalance()
        if self._failing[call]:
            raise self._failing[call].popleft()

    async def leader_of(self, topic: str) -> None:
        """Wait until the broker that leads a topic answers."""
        while topic in self._held:
            await self.change()

    def happens(self, chance: float) -> bool:
        """Whether chance wants it."""
        return chance > 0 and self.rng.random() < chance

    def partitions_of(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of these topics, in order."""
        return [TopicPartition(topic, n) for topic in sorted(topics) for n in range(len(self._topics.get(topic, ())))]

    def partition(self, tp: TopicPartition) -> Partition:
        """One partition.

        Raises:
            UnknownTopicOrPartitionError: there is no such.
        """
        parts, number = self._topics.get(tp.topic, []), int(tp.partition)
        if number >= len(parts):
            raise UnknownTopicOrPartitionError(tp)
        return parts[number]

    def notify(self) -> None:
        """Wake all who wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next change of anything."""
        await self._changed.wait()


class MemoryTopicIds:
    """As `TopicIds`."""

    def __init__(self, log: MemoryLog, ids: dict[str, UUID]) -> None:
        self._log, self._ids = log, ids

    async def of(self, *topics: str) -> dict[str, UUID]:
        """The ids of those that exist."""
        await self._log.at("topic ids")
        return {topic: self._ids[topic] for topic in topics if topic in self._ids}

    async def wait_for_ids(self, settings: KafkaSettings, health: Health, *topics: str) -> dict[str, UUID]:
        """The same."""
        return await self.of(*topics)


class MemoryProducer:
    """As an idempotent `AIOKafkaProducer`: a moment later, each partition's records in the order they were given."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._lines: defaultdict[TopicPartition, _Line] = defaultdict(deque)
        self._writing: dict[TopicPartition, asyncio.Task[None]] = {}

    async def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Awaitable[None]:
        """Queue a record; what is returned is done when it is acknowledged."""
        if value is not None and len(value) > self._log.most_bytes:
            raise MessageSizeTooLargeError
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tp = TopicPartition(topic, self._log.partition_for(topic, key) if partition is None else partition)
        self._lines[tp].append((key, value, tuple(headers or ()), acknowledged))
        if tp not in self._writing or self._writing[tp].done():
            self._writing[tp] = asyncio.create_task(self._write(tp, self._lines[tp]))
        return acknowledged

    def kill(self) -> None:
        """The process dies: what was not written never is."""
        for line in self._lines.values():
            line.clear()

    async def _write(self, tp: TopicPartition, line: _Line) -> None:
        while line:
            await self._log.leader_of(tp.topic)
            error = await self._error()
            # A refusal is of all that is queued: what came later does not get there before what came earlier.
            size = len(line) if error is not None else self._log.rng.randint(1, max(1, len(line)))
            taken = error is None or self._log.happens(0.5)
            for key, value, headers, acknowledged in [line.popleft() for _ in range(min(size, len(line)))]:
                if taken:
                    self._log.append(tp.topic, value, key, tp.partition, headers=headers)
                if acknowledged.cancelled():
                    continue
                if error is None:
                    acknowledged.set_result(None)
                else:
                    acknowledged.set_exception(error)

    async def _error(self) -> BaseException | None:
        error: BaseException | None = None
        try:
            await self._log.at("publish")
        except KafkaError as err:
            error = err
        if error is None and self._log.happens(self._log.chances.publish):
            error = self._log.rng.choice(PUBLISH_ERRORS)()
        return error
