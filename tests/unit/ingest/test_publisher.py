"""Publishing a request: acknowledged within a bounded time, or reported as unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_ingest.publisher import EventPublisher


class Taking(Publisher):
    """Kafka that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Record] = []

    async def publish(self, records: Iterable[Record]) -> None:
        self.taken.extend(records)


class Silent(Publisher):
    """Kafka that never acknowledges."""

    def __init__(self) -> None:
        pass

    async def publish(self, records: Iterable[Record]) -> None:
        await asyncio.Event().wait()


async def test_a_request_is_one_record_without_a_key() -> None:
    kafka, publisher = Taking(), EventPublisher(1.0)
    publisher.connect(kafka)
    await publisher.publish(b"[]")
    assert kafka.taken == [Record(PREDICTIONS.name, None, b"[]")]


async def test_before_kafka_is_reached_it_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="Kafka is not reached yet"):
        await EventPublisher(1.0).publish(b"[]")


async def test_without_an_acknowledgement_in_time_it_is_unavailable() -> None:
    publisher = EventPublisher(0.01)
    publisher.connect(Silent())
    with pytest.raises(Unavailable, match=r"did not acknowledge within 0\.01 s"):
        await publisher.publish(b"[]")
