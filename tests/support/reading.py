"""Reading a topic as it lies in Kafka at the moment."""

from __future__ import annotations

from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from sentryml_common.contracts.message import Message, decode
from sentryml_common.contracts.topics import Topic

M = TypeVar("M", bound=Message)


async def messages_in(kafka_bootstrap: str, topic: Topic, contract: type[M], key: str | None = None) -> list[M]:
    """All messages of a topic, or those under one key; in order per partition."""
    records = await records_in(kafka_bootstrap, topic)
    return [decode(contract, each.value) for each in records if key is None or each.key == key.encode()]


async def records_in(kafka_bootstrap: str, topic: Topic, positions: dict[int, int] | None = None) -> list[Any]:
    """All records of a topic, in order per partition; those from `positions` on, which move to the end."""
    found: list[Any] = []
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest", group_id=None
    ) as consumer:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        for number, offset in (positions or {}).items():
            consumer.seek(TopicPartition(topic.name, number), offset)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        if positions is not None:
            positions |= {tp.partition: await consumer.position(tp) for tp in partitions}
    return found
