"""How many records a topic holds, for a metric."""

from __future__ import annotations

import asyncio
from functools import partial

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from sentryml_common.contracts.topics import Topic
from sentryml_common.health import Health
from sentryml_common.kafka.client import start_client
from sentryml_common.kafka.reading import make_reader
from sentryml_common.logging import get_logger
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 15.0


async def watch_depth(topic: Topic, gauge: Gauge, settings: KafkaSettings, health: Health) -> None:
    """Keep `gauge` at the number of records that retention has left in `topic`, until cancelled."""
    name = settings.prefixed(topic.name)
    partitions = [TopicPartition(name, number) for number in range(topic.partitions)]
    consumer: AIOKafkaConsumer = await start_client(partial(make_reader, settings), settings, health)
    try:
        while True:
            try:
                gauge.set(await _depth(consumer, partitions))
            except KafkaError as err:
                # The figure stays as it was; who needs Kafka says in /readyz that it is away.
                log.warning("depth_not_known", topic=topic.name, why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(CHECK_EVERY_SECONDS)
    finally:
        await consumer.stop()


async def _depth(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int:
    first, last = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return sum(last[each] - first[each] for each in partitions)
