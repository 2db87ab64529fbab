"""Setting a bad record aside: its coordinates and the reason go to `deadletters.v1`, never its payload, nor the names
of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.api_key import without_keys
from sentryml_common.contracts.dead_letter import LONGEST_SENDER, SENDER_HEADER, DeadLetter
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import DEAD_LETTERS
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.metrics import DEAD_LETTERS_TOTAL
from sentryml_common.text import cut

log = get_logger(__name__)

LONGEST_DETAIL = 1000


class DeadLetters:
    """Publishes dead letters for one service."""

    def __init__(self, service: str, publisher: Publisher, clock: Clock = system_clock) -> None:
        self._service, self._publisher, self._clock = service, publisher, clock

    def letter(self, record: Any, error: UndecodableMessage) -> Record:
        """The dead letter of a consumed `record` (aiokafka's ConsumerRecord), counted and logged."""
        letter = self._letter(record, error)
        self._count(letter)
        return _record(letter)

    async def send(self, record: Any, error: UndecodableMessage) -> None:
        """Publish the dead letter of one record, and count and log it when it is acknowledged.

        Raises:
            Unavailable: Kafka did not accept it.
        """
        letter = self._letter(record, error)
        await self._publisher.publish([_record(letter)])
        self._count(letter)

    def _letter(self, record: Any, error: UndecodableMessage) -> DeadLetter:
        return DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            service=self._service,
            reason=error.reason,
            # A key that a producer took for the name of a field must not be kept here.
            detail=without_keys(error.detail)[:LONGEST_DETAIL],
            at=self._clock(),
            sender=_sender_of(record),
        )

    def _count(self, letter: DeadLetter) -> None:
        # A letter has the topic's name in Kafka, a metric that of the registry.
        topic = letter.topic.removeprefix(self._publisher.topic_prefix)
        DEAD_LETTERS_TOTAL.labels(topic=topic, reason=letter.reason).inc()
        logged = letter.model_dump(include={"topic", "partition", "offset", "reason", "detail"})
        log.warning("record_dead_lettered", **logged)


class UncommittedDeadLetters:
    """Records that a process has dead-lettered while their offsets are not committed yet: it reads them again after a
    failure or a rebalance, and must not dead-letter them twice. One offset per partition: they come in order."""

    def __init__(self) -> None:
        self._last: dict[TopicPartition, int] = {}

    def has(self, record: Any) -> bool:
        """Whether this record has been dead-lettered."""
        return bool(record.offset <= self._last.get(TopicPartition(record.topic, record.partition), -1))

    def add(self, record: Any) -> None:
        """It has been."""
        self._last[TopicPartition(record.topic, record.partition)] = record.offset

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """What lies before these offsets is not read again, unless its topic is deleted and created again."""
        for tp, offset in offsets.items():
            if self._last.get(tp, offset) < offset:
                del self._last[tp]


def _sender_of(record: Any) -> str | None:
    """Whom a record names as its producer, in one visible line."""
    value = next((value for name, value in record.headers or () if name == SENDER_HEADER), None)
    named = without_keys(cut(value.decode(errors="replace"), LONGEST_SENDER)) if value else ""
    return named[:LONGEST_SENDER] or None


def _record(letter: DeadLetter) -> Record:
    return Record(DEAD_LETTERS.name, letter.topic.encode(), encode(letter))
