"""Accepted events go to Kafka: one record per request, so that a request is taken whole or not at all."""

from __future__ import annotations

import asyncio

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_ingest.metrics import PUBLISH_SECONDS


class EventPublisher:
    """Publishes requests, each within a bounded time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._publisher: Publisher | None = None

    def connect(self, publisher: Publisher) -> None:
        """Kafka is there."""
        self._publisher = publisher

    async def publish(self, record: bytes) -> None:
        """Return when Kafka has acknowledged the record.

        Raises:
            Unavailable: it has not in time. The record may still arrive: a sender that tries again may then be
                counted twice, one that does not may have been counted.
            RecordTooLarge: Kafka takes no record of this size.
        """
        if self._publisher is None:
            raise Unavailable("Kafka is not reached yet: try again in a few seconds")
        try:
            with PUBLISH_SECONDS.time():
                async with asyncio.timeout(self._seconds):
                    await self._publisher.publish([Record(PREDICTIONS.name, None, record)])
        except TimeoutError as err:
            raise Unavailable(f"Kafka did not acknowledge within {self._seconds:g} s: try again") from err
