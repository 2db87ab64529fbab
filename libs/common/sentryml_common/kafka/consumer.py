"""The loop that all consumers share: take a batch, handle it, commit its offsets.

A record that breaks its contract is set aside and the loop goes on. A server that is away makes the loop go
back to the start of the batch and try again: nothing is skipped, so order per key holds. Any other error ends
the process; what was not committed is read again by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from typing import Any, Generic, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, RebalanceInProgressError

from sentryml_common.contracts.message import Message, decode
from sentryml_common.contracts.topics import Topic
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.http.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.logging import get_logger
from sentryml_common.metrics import CONSUMED_TOTAL, CONSUMER_LAG, RETRIES_TOTAL
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

BATCH_RECORDS = 500
POLL_MILLISECONDS = 500
RETRY_PAUSE_SECONDS = 1.0

M = TypeVar("M", bound=Message)


class Consumer(Protocol):
    """What the loop calls of `AIOKafkaConsumer`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, topics: list[str]) -> None: ...
    def assignment(self) -> Set[TopicPartition]: ...
    def highwater(self, partition: TopicPartition) -> int | None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]: ...
    async def commit(self, offsets: dict[TopicPartition, int]) -> None: ...


MakeConsumer = Callable[[KafkaSettings, str], Consumer]
"""Makes a consumer of a group, which is not started yet."""


def make_consumer(settings: KafkaSettings, group: str) -> Consumer:
    """A consumer of the real Kafka."""
    consumer: Consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=15_000,
        heartbeat_interval_ms=3_000,
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

    async def run(self, settings: KafkaSettings, health: Health) -> None:
        """Consume until cancelled."""

        def make() -> Consumer:
            consumer = self._make(settings, self._group)
            consumer.subscribe([self._topic.name])
            return consumer

        consumer = await start_client(make, settings, health)
        try:
            while True:
                batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=BATCH_RECORDS)
                if batches:
                    await self._process(consumer, batches)
        finally:
            await consumer.stop()

    async def _process(self, consumer: Consumer, batches: dict[TopicPartition, list[Any]]) -> None:
        try:
            messages = [message for records in batches.values() for message in await self._decode(records)]
            if messages:
                await self._handle(messages)
        except Unavailable as err:
            RETRIES_TOTAL.labels(topic=self._topic.name).inc()
            log.warning("batch_tried_again", topic=self._topic.name, why=str(err))
            _show_lag(consumer, {tp: records[0].offset for tp, records in batches.items()})
            await self._go_back(consumer, batches)
            return
        done = {tp: records[-1].offset + 1 for tp, records in batches.items()}
        await self._commit(consumer, done)
        _show_lag(consumer, done)
        for tp, records in batches.items():
            CONSUMED_TOTAL.labels(topic=tp.topic).inc(len(records))

    async def _decode(self, records: list[Any]) -> list[M]:
        messages = []
        for record in records:
            if record.value is None:
                continue
            try:
                messages.append(decode(self._contract, record.value))
            except UndecodableMessage as err:
                await self._dead_letters.set_aside(record, err)
        return messages

    async def _go_back(self, consumer: Consumer, batches: dict[TopicPartition, list[Any]]) -> None:
        for tp, records in batches.items():
            if tp in consumer.assignment():
                consumer.seek(tp, records[0].offset)
        await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def _commit(self, consumer: Consumer, offsets: dict[TopicPartition, int]) -> None:
        """Commit; a commit that a rebalance or a broker refuses means only that the batch is read again."""
        owned = {tp: offset for tp, offset in offsets.items() if tp in consumer.assignment()}
        try:
            await consumer.commit(owned)
        except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError) as err:
            log.info("commit_superseded", topic=self._topic.name, why=type(err).__name__)
        except KafkaError as err:
            log.warning("commit_failed", topic=self._topic.name, why=f"{type(err).__name__}: {err}")


def _show_lag(consumer: Consumer, done: dict[TopicPartition, int]) -> None:
    """What is behind each partition's next offset, as far as Kafka has told."""
    for tp, offset in done.items():
        CONSUMER_LAG.labels(topic=tp.topic, partition=tp.partition).set(max(0, (consumer.highwater(tp) or 0) - offset))
