"""Following a compacted topic without a group: every process holds all of it, by key, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from sentryml_common.contracts.message import Message, decode
from sentryml_common.contracts.topics import Topic
from sentryml_common.errors import UndecodableMessage
from sentryml_common.http.health import Health
from sentryml_common.kafka.client import ask, client_options, start_client
from sentryml_common.logging import get_logger
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

POLL_MILLISECONDS = 200
DELETIONS_KEPT_SECONDS = 2 * 86_400.0
"""Kafka itself forgets a deletion after a day, by default."""

M = TypeVar("M", bound=Message)


class Follower(Generic[M]):
    """The latest message of each key of a compacted topic.

    `current` is complete once `caught_up` is set, and then stays so within a fraction of a second. A message
    that breaks its contract leaves the key as it was, with a log line. `published` says when each was published, and
    `deleted` when a key was last deleted (epoch seconds), for about as long as the topic knows.
    """

    def __init__(self, topic: Topic, contract: type[M], on_change: Callable[[str], None] | None = None) -> None:
        self._topic, self._contract = topic, contract
        self._on_change = on_change
        self.current: dict[str, M] = {}
        self.published: dict[str, float] = {}
        self.deleted: dict[str, float] = {}
        self.caught_up = asyncio.Event()

    async def run(self, settings: KafkaSettings, health: Health) -> None:
        """Follow until cancelled."""
        health.waiting(self._topic.name, f"reading {self._topic.name} from its start")

        def make() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(
                **client_options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
            )

        consumer = await start_client(make, settings, health)
        try:
            await self._follow(consumer, settings, health)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer, settings: KafkaSettings, health: Health) -> None:
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await ask(lambda: consumer.end_offsets(partitions), settings, health)
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
                for record in records:
                    self._apply(record)
            if not self.caught_up.is_set() and await self._reached(consumer, ends):
                self.caught_up.set()
                health.ready(self._topic.name)
                log.info("topic_read", topic=self._topic.name, keys=len(self.current))

    async def _reached(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
        try:
            return all([await consumer.position(tp) >= end for tp, end in ends.items()])
        except KafkaError:
            return False

    def _apply(self, record: Any) -> None:
        key = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self.current.pop(key, None)
            self.published.pop(key, None)
            self._note_deletion(key, record.timestamp / 1000)
        else:
            try:
                self.current[key] = decode(self._contract, record.value)
            except UndecodableMessage as err:
                log.error(
                    "record_ignored", topic=record.topic, offset=record.offset, reason=err.reason, detail=err.detail
                )
                return
            self.published[key] = record.timestamp / 1000
        if self._on_change is not None:
            self._on_change(key)

    def _note_deletion(self, key: str, at: float) -> None:
        self.deleted.pop(key, None)
        self.deleted[key] = at
        while self.deleted[oldest := next(iter(self.deleted))] < at - DELETIONS_KEPT_SECONDS:
            del self.deleted[oldest]
