"""How many records a topic holds, and the gauge that shows it: the alert on dead letters uses it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from secrets import token_hex

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import CollectorRegistry, Gauge

from sentryml_common.contracts.topics import DEAD_LETTERS, Topic
from sentryml_common.health import Health
from sentryml_common.kafka import depth
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin


async def forget_first(settings: KafkaSettings, topic: Topic) -> None:
    """Have Kafka forget the first record of each partition, as retention does."""
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        await admin.delete_records({each: RecordsToDelete(before_offset=1) for each in partitions})


async def test_gauge_follows_what_a_topic_holds(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all partitions, as records come and as Kafka forgets them."""
    monkeypatch.setattr(depth, "CHECK_EVERY_SECONDS", 0.05)
    settings, health = KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health()
    topic = replace(DEAD_LETTERS, name=f"sentryml.test.{token_hex(8)}", partitions=2)
    gauge = Gauge("depth", "Of the topic.", registry=CollectorRegistry())
    gauge.set(-1)
    await ensure_topics(settings, health, [topic])

    async def shown(number: int) -> None:
        async def is_shown() -> bool:
            return gauge._value.get() == number

        await eventually(is_shown, what=f"a depth of {number}")

    watching = asyncio.create_task(depth.watch_depth(topic, gauge, settings, health))
    try:
        await shown(0)
        async with open_publisher(settings, health) as publisher:
            await publisher.publish([Record(topic.name, b"key", b"x", partition) for partition in (0, 0, 1, 1, 1)])
        await shown(5)
        await forget_first(settings, topic)
        await shown(3)
    finally:
        watching.cancel()
        await asyncio.wait({watching})
