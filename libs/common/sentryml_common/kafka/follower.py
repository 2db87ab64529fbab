"""Following a compacted topic without a group: every process holds all of it, by key, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Generic, NoReturn, Protocol, TypeVar
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sentryml_common.contracts.message import Message, decode
from sentryml_common.contracts.topics import Topic
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.health import Health
from sentryml_common.kafka.client import ask, start_client
from sentryml_common.kafka.epochs import WATCH_SECONDS, TopicRecreated
from sentryml_common.kafka.reading import Reader, make_reader
from sentryml_common.kafka.topic_ids import open_topic_ids
from sentryml_common.logging import get_logger
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

POLL_MILLISECONDS = 200
RETRY_PAUSE_SECONDS = 1.0
DELETIONS_KEPT_SECONDS = 40 * 86_400
"""Longer than anything is kept that a deleted key could still have."""

M = TypeVar("M", bound=Message)


class Ids(Protocol):
    """What a follower calls of `TopicIds`."""

    async def of(self, *topics: str) -> dict[str, UUID]: ...
    async def wait_for_ids(self, settings: KafkaSettings, health: Health, *topics: str) -> dict[str, UUID]: ...


MakeReader = Callable[[KafkaSettings], Reader]
"""Makes a consumer without a group, which is not started yet."""
OpenIds = Callable[[KafkaSettings, Health], AbstractAsyncContextManager[Ids]]
"""Opens what asks for the ids of topics."""


class Follower(Generic[M]):
    """The latest message of each key of a compacted topic.

    `current` is complete once `caught_up` is set, and then stays so within a fraction of a second. A message
    that breaks its contract leaves the key as it was, with a log line. `published` says when each was published, and
    `deleted` when a key was last deleted (epoch seconds), as far as the topic still knows; in 40 days of deletions the
    oldest are forgotten. All three are those of a topic that was recreated, and nothing of its predecessor, once it has
    been read.
    """

    def __init__(
        self,
        topic: Topic,
        contract: type[M],
        on_change: Callable[[str], None] | None = None,
        make: MakeReader = make_reader,
        open_ids: OpenIds = open_topic_ids,
    ) -> None:
        self._topic, self._contract = topic, contract
        self._on_change, self._make, self._open_ids = on_change, make, open_ids
        self.current: dict[str, M] = {}
        self.published: dict[str, float] = {}
        self.deleted: dict[str, float] = {}
        self.caught_up = asyncio.Event()
        self._failing = self._missing = False

    async def run(self, settings: KafkaSettings, health: Health) -> None:
        """Follow until cancelled."""
        name = self._topic.name
        async with self._open_ids(settings, health) as ids:
            while True:
                topic_id = (await ids.wait_for_ids(settings, health, name)).get(name)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._watch(ids, topic_id, health))
                        tasks.create_task(self._read(settings, health))
                except* TopicRecreated:
                    log.warning("topic_recreated", topic=name)

    async def _watch(self, ids: Ids, topic_id: UUID | None, health: Health) -> NoReturn:
        """Check that the topic is still the one with this id. While there is none, what is known still serves.

        Raises:
            TopicRecreated: there is another.
        """
        name = self._topic.name
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(Unavailable):
                found = (await ids.of(name)).get(name)
                self._missing = found is None
                if found is None:
                    health.waiting(name, f"the topic {name} does not exist: run `sentryml-topics apply`")
                elif found != topic_id:
                    raise TopicRecreated(name)

    async def _read(self, settings: KafkaSettings, health: Health) -> None:
        """Follow the topic as it is now."""
        health.waiting(self._topic.name, f"reading {self._topic.name} from its start")
        consumer = await start_client(lambda: self._make(settings), settings, health)
        try:
            await self._follow(consumer, settings, health)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: Reader, settings: KafkaSettings, health: Health) -> None:
        name = settings.prefixed(self._topic.name)
        partitions = [TopicPartition(name, number) for number in range(self._topic.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await ask(lambda: consumer.end_offsets(partitions), settings, health)
        into: Follower[M] = Follower(self._topic, self._contract)  # what was known serves until all is read
        while True:
            await self._read_some(consumer, health, into)
            if into is not self and await self._reached(consumer, ends):
                self._take_over(into)
                into = self
                log.info("topic_read", topic=self._topic.name, keys=len(self.current))
            if into is self and not self._failing and not self._missing:
                health.ready(self._topic.name)

    def _take_over(self, read: Follower[M]) -> None:
        """Hold what another has read, and nothing else."""
        changed = self.current.keys() | read.current.keys()
        for own in (self.current, self.published, self.deleted):
            own.clear()
        self.current.update(read.current)
        self.published.update(read.published)
        self.deleted.update(read.deleted)
        self.caught_up.set()
        if self._on_change is not None:
            for key in changed:
                self._on_change(key)

    async def _read_some(self, consumer: Reader, health: Health, into: Follower[M]) -> None:
        """Apply what comes next. What Kafka refuses is asked for again: what is known until then still serves."""
        try:
            batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS)
        except KafkaError as err:
            why = f"reading {self._topic.name} failed: {type(err).__name__}: {err}"
            log.warning("reading_retried", topic=self._topic.name, why=why)
            health.waiting(self._topic.name, why)
            self._failing = True
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
            return
        self._failing = False
        for records in batches.values():
            for record in records:
                into._apply(record)

    async def _reached(self, consumer: Reader, ends: dict[TopicPartition, int]) -> bool:
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
        """Note one, and forget those that are very old by now: the first ones, since they come in order."""
        self.deleted.pop(key, None)
        self.deleted[key] = at
        while (oldest := next(iter(self.deleted))) != key and self.deleted[oldest] < at - DELETIONS_KEPT_SECONDS:
            del self.deleted[oldest]
