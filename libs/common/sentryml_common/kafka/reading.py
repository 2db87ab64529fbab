"""Reading topics without a group: where one begins to read is in nobody's hands but one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from sentryml_common.kafka.client import client_options
from sentryml_common.settings import KafkaSettings

POLL_MILLISECONDS = 500


class Reader(Protocol):
    """What who reads without a group calls of `AIOKafkaConsumer`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    async def seek_to_beginning(self, *partitions: TopicPartition) -> bool: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]: ...


def make_reader(settings: KafkaSettings, **options: Any) -> Any:
    """A consumer of the real Kafka without a group, which is not started yet."""
    return AIOKafkaConsumer(
        **client_options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **options
    )


async def records_until_now(reader: Reader, partitions: list[TopicPartition]) -> AsyncIterator[Any]:
    """All records that partitions hold at this moment, those of each in their order."""
    reader.assign(partitions)
    await reader.seek_to_beginning(*partitions)
    ends = await reader.end_offsets(partitions)
    while any([await reader.position(tp) < end for tp, end in ends.items()]):
        for records in (await reader.getmany(timeout_ms=POLL_MILLISECONDS)).values():
            for record in records:
                yield record
