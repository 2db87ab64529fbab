"""The idempotent producer: a record is published when Kafka has acknowledged it, not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)

from sentryml_common.errors import Unavailable
from sentryml_common.http.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.logging import get_logger
from sentryml_common.metrics import KAFKA_ANSWERED
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

REQUEST_TIMEOUT_SECONDS = 10
ASK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish; `partition` None lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


OUT_OF_STEP = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerIdMapping, ProducerFenced)
"""Client and broker number a producer's records differently, and will for ever: only a new producer helps. It comes to
that when aiokafka drops records that it has numbered, as it does where a partition has no leader for ten seconds."""


class Publisher:
    """Publishes records and waits for all acknowledgements.

    `start` makes and starts another producer, where one may become useless.
    """

    def __init__(
        self, producer: AIOKafkaProducer, start: Callable[[], Awaitable[AIOKafkaProducer]] | None = None
    ) -> None:
        self._producer, self._start = producer, start
        self._replacing: asyncio.Task[None] | None = None

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
            if isinstance(err, OUT_OF_STEP) and self._start and (self._replacing is None or self._replacing.done()):
                log.warning("producer_replaced", why=f"{type(err).__name__}: {err}")
                self._replacing = asyncio.create_task(self._replace(self._start))
            raise Unavailable(f"Kafka did not accept the records: {type(err).__name__}: {err}") from err

    async def _replace(self, start: Callable[[], Awaitable[AIOKafkaProducer]]) -> None:
        """First the end of the old producer, and of all it still sends: nothing of it may land after the new one's."""
        await self._producer.stop()
        self._producer = await start()

    async def stop(self) -> None:
        """Send what was given, and end."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait({self._replacing})
        await self._producer.stop()

    async def ask_now_and_then(self) -> None:
        """Note when Kafka last answered, until cancelled."""
        while True:
            # A client that is stopped meanwhile, since its producer is replaced, never answers.
            with suppress(TimeoutError):
                if await asyncio.wait_for(self._producer.client.force_metadata_update(), ASK_SECONDS):
                    KAFKA_ANSWERED.set_to_current_time()
            await asyncio.sleep(ASK_SECONDS)


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

    async def start() -> AIOKafkaProducer:
        return await start_client(make, settings, health)

    publisher = Publisher(await start(), start)
    asking = asyncio.create_task(publisher.ask_now_and_then())
    try:
        yield publisher
    finally:
        asking.cancel()
        await publisher.stop()
