"""The loop that all consumers share: take a batch, handle it, commit its offsets.

A record that breaks its contract is dead-lettered and the loop goes on. A server that is away makes the loop go
back to the start of the batch and try again: nothing is skipped, so order per key holds. Any other error ends
the process; what was not committed is read again by the next one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from typing import Any, Generic, NoReturn, Protocol, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, RebalanceInProgressError
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.contracts.message import Message, decode
from sentryml_common.contracts.topics import Topic
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.kafka.dead_letter import DeadLetters, UncommittedDeadLetters
from sentryml_common.kafka.lag import LagSeries
from sentryml_common.kafka.ownership import watch_owners
from sentryml_common.logging import get_logger
from sentryml_common.metrics import CONSUMED_TOTAL, RETRIES_TOTAL
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

BATCH_RECORDS = 500
POLL_MILLISECONDS = 500
RETRY_PAUSE_SECONDS = 1.0
METADATA_MILLISECONDS = 15_000
SESSION_SECONDS = 15.0

M = TypeVar("M", bound=Message)
Batches: TypeAlias = dict[TopicPartition, list[Any]]


class Consumer(Protocol):
    """What members of a group call of `AIOKafkaConsumer`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, topics: list[str], *, listener: ConsumerRebalanceListener) -> None: ...
    def assignment(self) -> Set[TopicPartition]: ...
    def partitions_for_topic(self, topic: str) -> Set[int] | None: ...
    def highwater(self, partition: TopicPartition) -> int | None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def getmany(self, *, timeout_ms: int, max_records: int) -> Batches: ...
    async def commit(self, offsets: Mapping[TopicPartition, int | OffsetAndMetadata]) -> None: ...


MakeConsumer = Callable[[KafkaSettings, str], Consumer]
"""Makes a consumer of a group, which is not started yet."""


def make_consumer(
    settings: KafkaSettings, group: str, session_seconds: float = SESSION_SECONDS, **options: Any
) -> Consumer:
    """A consumer of the real Kafka. `session_seconds` without a heartbeat, and it loses its partitions."""
    consumer: Consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=settings.prefixed(group),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=int(session_seconds * 1000),
        heartbeat_interval_ms=int(session_seconds * 1000 / 5),
        # A group that is balanced while a broker starts may share out topics of which no partition is known yet.
        metadata_max_age_ms=METADATA_MILLISECONDS,
        **options,
    )
    return consumer


class BatchConsumer(Generic[M]):
    """Consumes one topic in a group, decoded, in batches.

    `handle` gets the messages of a batch in order per partition; a key deleted by a tombstone is left out.
    It must be idempotent: a batch is handled again after a crash between its effects and its commit.
    """

    def __init__(
        self,
        topic: Topic,
        contract: type[M],
        group: str,
        handle: Callable[[list[M]], Awaitable[object]],
        dead_letters: DeadLetters,
        make: MakeConsumer = make_consumer,
    ) -> None:
        self._topic, self._contract, self._group = topic, contract, group
        self._handle, self._dead_letters, self._make = handle, dead_letters, make
        self._uncommitted, self._lag = UncommittedDeadLetters(), LagSeries(topic.name)
        self._rebalances = _Rebalances(self._lag)
        self._worked_at: float | None = None

    def idle_seconds(self) -> float:
        """For how long it has not worked: not read from Kafka, or not handled and committed what it read."""
        return math.inf if self._worked_at is None else asyncio.get_running_loop().time() - self._worked_at

    async def run(self, settings: KafkaSettings, health: Health) -> None:
        """Consume until cancelled. A consumer that fails is replaced: what went wrong is on `/readyz` meanwhile."""

        def make() -> Consumer:
            consumer = self._make(settings, self._group)
            consumer.subscribe([settings.prefixed(self._topic.name)], listener=self._rebalances)
            return consumer

        while True:
            consumer = await start_client(make, settings, health)
            try:
                await self._consume(consumer, health)
            finally:
                self._lag.clear()
                await consumer.stop()
            await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def watch(self, settings: KafkaSettings, health: Health) -> NoReturn:
        """See that the group reads the whole topic, until cancelled.

        Raises:
            PartitionsWithoutOwner: it does not, for too long; a restart joins the group again.
        """
        await watch_owners(self._group, self._topic, settings, health)

    async def _consume(self, consumer: Consumer, health: Health) -> None:
        """Consume until reading fails."""
        while True:
            try:
                batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=BATCH_RECORDS)
            except KafkaError as err:
                why = f"reading {self._topic.name} failed: {type(err).__name__}: {err}"
                log.warning("consumer_replaced", topic=self._topic.name, why=why)
                health.waiting(self._topic.name, why)
                return
            health.ready(self._topic.name)
            if not batches or await self._process(consumer, batches):
                self._worked_at = asyncio.get_running_loop().time()

    async def _process(self, consumer: Consumer, batches: Batches) -> bool:
        """Handle and commit a batch; whether nothing went wrong."""
        rebalances = self._rebalances.count
        try:
            messages = [message for records in batches.values() for message in await self._decode(records)]
            if messages:
                await self._handle(messages)
        except Unavailable as err:
            RETRIES_TOTAL.labels(topic=self._topic.name).inc()
            log.warning("batch_tried_again", topic=self._topic.name, why=str(err))
            self._go_back(consumer, {tp: records[0].offset for tp, records in batches.items()}, rebalances)
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
            return False
        offsets = {tp: records[-1].offset + 1 for tp, records in batches.items()}
        committed = await self._commit(consumer, offsets, rebalances)
        CONSUMED_TOTAL.labels(topic=self._topic.name).inc(sum(map(len, batches.values())))
        return committed

    async def _decode(self, records: list[Any]) -> list[M]:
        messages = []
        for record in records:
            if record.value is None:
                continue
            try:
                messages.append(decode(self._contract, record.value))
            except UndecodableMessage as err:
                if not self._uncommitted.has(record):
                    await self._dead_letters.send(record, err)
                    self._uncommitted.add(record)
        return messages

    def _go_back(self, consumer: Consumer, offsets: dict[TopicPartition, int], rebalances: int) -> None:
        for tp, offset in self._owned(consumer, offsets, rebalances).items():
            consumer.seek(tp, offset)
            self._lag.show(tp.partition, offset, consumer.highwater(tp))

    async def _commit(self, consumer: Consumer, offsets: dict[TopicPartition, int], rebalances: int) -> bool:
        """Commit; a commit that a rebalance or a broker refuses means only that the batch is read again. False if the
        broker did."""
        owned, committed = self._owned(consumer, offsets, rebalances), True
        if not owned:
            log.info("commit_superseded", topic=self._topic.name, why="the partitions went to another consumer")
            return committed
        try:
            await consumer.commit(owned)
        except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError) as err:
            log.info("commit_superseded", topic=self._topic.name, why=type(err).__name__)
        except KafkaError as err:
            log.warning("commit_failed", topic=self._topic.name, why=f"{type(err).__name__}: {err}")
            committed = False
        else:
            self._uncommitted.committed(self._owned(consumer, owned, rebalances))
        for tp, offset in self._owned(consumer, owned, rebalances).items():
            self._lag.show(tp.partition, offset, consumer.highwater(tp))
        return committed

    def _owned(
        self, consumer: Consumer, offsets: dict[TopicPartition, int], rebalances: int
    ) -> dict[TopicPartition, int]:
        """Those of `offsets` that may still be committed or sought: none after a rebalance. Another may have had a
        partition meanwhile, even one that is here again, and where to go on is known from what was committed."""
        assigned = consumer.assignment() if rebalances == self._rebalances.count else ()
        return {tp: offset for tp, offset in offsets.items() if tp in assigned}


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Counts rebalances, and removes the series of what is lost."""

    def __init__(self, lag: LagSeries) -> None:
        self.count = 0
        self._lag = lag

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._lag.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.count += 1
        self._lag.clear()
