"""Epochs of topics: which incarnation of a topic a service reads.

A topic that is deleted and recreated gets a new topic id from Kafka, but ids have no order. The first service that
sees a new id records it with the next epoch number; from then on every service reads the same number for that id.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import NoReturn, Self
from uuid import UUID

from aiokafka import TopicPartition

from sentryml_common.clock import system_clock
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import TOPIC_EPOCHS, Topic
from sentryml_common.errors import SentryMLError, Unavailable, UndecodableMessage
from sentryml_common.health import Health
from sentryml_common.kafka.client import ask_with_client
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.reading import Reader, make_reader, records_until_now
from sentryml_common.kafka.topic_ids import TopicIds
from sentryml_common.logging import get_logger
from sentryml_common.settings import KafkaSettings

log = get_logger(__name__)

WATCH_SECONDS = 5.0


class TopicRecreated(SentryMLError):
    """A topic was deleted under a running service; offsets and labels of its previous incarnation are void."""


class TopicIncarnation:
    """The incarnation of a topic that a service reads: its epoch, and whether the topic still exists."""

    def __init__(self, topic: Topic, epoch: int, topic_id: UUID, ids: TopicIds) -> None:
        self.epoch = epoch
        self._topic, self._topic_id, self._ids = topic, topic_id, ids

    @classmethod
    async def begin(cls, topic: Topic, ids: TopicIds, settings: KafkaSettings, health: Health) -> Self:
        """The current incarnation of `topic`, with its epoch on record.

        Raises:
            Unavailable: the topic does not exist at the moment.
        """
        topic_id = (await ids.wait_for_ids(settings, health, topic.name)).get(topic.name)
        if topic_id is None:
            raise Unavailable(f"the topic {topic.name} does not exist")
        return cls(topic, await _epoch_of(topic, topic_id, settings, health), topic_id, ids)

    async def check(self) -> None:
        """Check that everything read so far belongs to this incarnation.

        Raises:
            TopicRecreated: it may not; a restart begins with the new incarnation.
            Unavailable: Kafka does not answer.
        """
        if (await self._ids.of(self._topic.name)).get(self._topic.name) != self._topic_id:
            raise TopicRecreated(
                f"the topic {self._topic.name} was deleted or recreated; restarting with its new epoch"
            )

    async def watch(self) -> NoReturn:
        """Check periodically, until cancelled.

        Raises:
            TopicRecreated: the topic was deleted.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(Unavailable):
                await self.check()


async def _epoch_of(topic: Topic, topic_id: UUID, settings: KafkaSettings, health: Health) -> int:
    """The epoch of a topic's current incarnation; recorded if it has none yet."""
    while True:
        known = (await read_epochs(settings, health)).get(topic.name)
        if known is not None and known.topic_id == topic_id:
            return known.epoch
        number = _next_epoch(known)
        log.info("epoch_recorded", topic=topic.name, epoch=number, topic_id=str(topic_id))
        new = TopicEpoch(topic=topic.name, epoch=number, made_at=system_clock(), topic_id=topic_id)
        async with open_publisher(settings, health) as publisher:
            await publisher.publish([Record(TOPIC_EPOCHS.name, topic.name.encode(), encode(new))])
        # Read back: another service may have recorded an epoch at the same moment; the last record wins.


def _next_epoch(known: TopicEpoch | None) -> int:
    if known is None:
        return 1
    # A record from before ids were recorded belongs to the current incarnation: only its id was missing.
    return known.epoch + 1 if known.topic_id is not None else known.epoch


async def read_epochs(settings: KafkaSettings, health: Health) -> dict[str, TopicEpoch]:
    """The last record of each topic; a record that violates the contract, or is empty, is ignored."""
    partition = TopicPartition(settings.prefixed(TOPIC_EPOCHS.name), 0)

    async def read(reader: Reader) -> dict[str, TopicEpoch]:
        epochs: dict[str, TopicEpoch] = {}
        async for record in records_until_now(reader, [partition]):
            try:
                epoch = decode(TopicEpoch, record.value)
            except UndecodableMessage as err:
                log.error("record_ignored", topic=record.topic, offset=record.offset, reason=err.reason)
            else:
                epochs[epoch.topic] = epoch
        return epochs

    return await ask_with_client(partial(make_reader, settings), read, settings, health)
