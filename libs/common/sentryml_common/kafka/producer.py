"""The idempotent producer: a record is published when Kafka has acknowledged it, not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sentryml_common.errors import Unavailable
from sentryml_common.http.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.metrics import KAFKA_ANSWERED
from sentryml_common.settings import KafkaSettings

REQUEST_TIMEOUT_SECONDS = 10
ASK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish; `partition` None lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


class Publisher:
    """Publishes records and waits for all acknowledgements."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def publish(self, records: Iterable[Record]) -> None:
        """Send `records` in their order and return when Kafka has acknowledged every one.

        While a broker that leads their partitions does not answer this waits, without end: an idempotent producer
        sends what it was given until it is acknowledged, in its order, and giving up would let it land later.

        Raises:
            Unavailable: Kafka refused some of them, or knows no leader for them; others may have been taken.
        """
        try:
            sent = [
                await self._producer.send(record.topic, record.value, record.key, record.partition)
                for record in records
            ]
            await asyncio.gather(*sent)
        except KafkaError as err:
            raise Unavailable(f"Kafka did not take the records: {type(err).__name__}: {err}") from err


@asynccontextmanager
async def open_publisher(settings: KafkaSettings, health: Health) -> AsyncIterator[Publisher]:
    """An idempotent producer (acks=all), started when Kafka answers, flushed and stopped at the end.

    While it is open, a metric says when Kafka last answered: Kafka exports none itself.
    """

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=2,
            max_batch_size=262_144,
            max_request_size=1_048_576,
            request_timeout_ms=REQUEST_TIMEOUT_SECONDS * 1000,
        )

    producer = await start_client(make, settings, health)
    asking = asyncio.create_task(_ask_now_and_then(producer))
    try:
        yield Publisher(producer)
    finally:
        asking.cancel()
        await producer.stop()


async def _ask_now_and_then(producer: AIOKafkaProducer) -> None:
    while True:
        if await producer.client.force_metadata_update():
            KAFKA_ANSWERED.set_to_current_time()
        await asyncio.sleep(ASK_SECONDS)
