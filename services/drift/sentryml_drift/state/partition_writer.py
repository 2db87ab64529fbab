"""The changelog of one partition of the table: a compacted topic that only the present owner can write to.

The worker that opens it becomes its only writer: Kafka knows the writer by a transactional id, and refuses everything
that a former one still sends, however long that one was frozen and whatever was on its way (KIP-98, KIP-360). So the
last value of a key is always the newest, and no check before a write is needed, nor would one help.

Each batch is one transaction: all of it is in the changelog, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from sentryml_common.contracts.topics import PROCESSOR_APP, TABLE_CHANGELOG
from sentryml_common.errors import SentryMLError, Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.kafka.producer import COMPRESSION, Record
from sentryml_common.kafka.reading import make_reader
from sentryml_common.settings import KafkaSettings
from sentryml_drift.event_loop_slices import Pacer
from sentryml_drift.state.local_copy import Changes

FETCH_BYTES = 8 * 1024 * 1024
READ_AT_ONCE = 1000
STOP_SECONDS = 5.0


class FencedOff(SentryMLError):
    """Another worker owns the partition now; what this one still holds of it is void."""


class Changelog:
    """The right to write to one partition of the changelog."""

    def __init__(self, partition: int, settings: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self.partition, self._settings, self._producer = partition, settings, producer
        self._topic = settings.prefixed(TABLE_CHANGELOG.name)

    @classmethod
    async def take_over(cls, partition: int, settings: KafkaSettings, health: Health) -> Changelog:
        """Become the partition's only writer: the former one is shut out, its open transaction aborted, on return."""

        def make() -> AIOKafkaProducer:
            return AIOKafkaProducer(
                **client_options(settings),
                transactional_id=settings.prefixed(f"{PROCESSOR_APP}-{partition}"),
                compression_type=COMPRESSION,
                linger_ms=2,
                max_batch_size=262_144,
                max_request_size=8_000_000,
                request_timeout_ms=10_000,
            )

        return cls(partition, settings, await start_client(make, settings, health))

    async def append(self, changes: Changes, records: Iterable[Record] = ()) -> int:
        """Write a batch, and publish `records` to other topics with it: all of it or nothing. Return the first
        offset after the batch, once Kafka has it for good.

        Raises:
            FencedOff: another worker owns the partition.
            Unavailable: Kafka did not accept it; whether it did is unknown until the partition is taken over again.
        """
        try:
            await self._producer.begin_transaction()
            pace, sent = Pacer(), []
            for each in records:
                topic = self._settings.prefixed(each.topic)
                sent.append(await self._producer.send(topic, each.value, each.key, each.partition))
                await pace()
            async for batch in self._batches(changes):
                count = batch.record_count()
                sent.append(await self._producer.send_batch(batch, self._topic, partition=self.partition))
            last = (await asyncio.gather(*sent))[-1]
            await self._producer.commit_transaction()
        except ProducerFenced as err:
            raise FencedOff(f"another worker has taken over partition {self.partition}") from err
        except KafkaError as err:
            raise Unavailable(f"Kafka did not accept the table's changes: {type(err).__name__}: {err}") from err
        return int(last.offset + count)

    async def _batches(self, changes: Changes) -> AsyncIterator[Any]:
        """Batches as Kafka takes them, made whole: record by record, the producer takes four times as long."""
        pace, batch = Pacer(), self._producer.create_batch()
        for key, value in changes.items():
            await pace()
            if batch.append(timestamp=None, key=key, value=value) is None:
                yield batch
                batch = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value)
        yield batch

    async def read(
        self, position: int, health: Health, progress: Callable[[float], None]
    ) -> AsyncIterator[tuple[dict[bytes, bytes | None], int]]:
        """Everything from `position` on, in parts: the newest values by key, and the position after them.
        `progress` is called with the part of it that has been read, 0 to 1."""
        make = partial(
            make_reader, self._settings, isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES
        )
        tp = TopicPartition(self._topic, self.partition)
        consumer: AIOKafkaConsumer = await start_client(make, self._settings, health)
        try:
            consumer.assign([tp])
            first, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
            start = at = max(first, position)
            consumer.seek(tp, start)
            while at < end:
                records = (await consumer.getmany(tp, timeout_ms=200, max_records=READ_AT_ONCE)).get(tp, [])
                at = await consumer.position(tp)
                progress((at - start) / (end - start))
                yield {record.key: record.value for record in records}, at
        finally:
            await consumer.stop()

    async def close(self) -> None:
        """Stop writing; the next owner aborts what may still be open."""
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._producer.stop()
