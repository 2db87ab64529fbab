"""Setting a bad record aside: its coordinates and the reason go to `deadletters.v1`, never its payload, nor the names
of its fields."""

from __future__ import annotations

from typing import Any

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.api_key import without_keys
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import DEAD_LETTERS
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.metrics import DEAD_LETTERS_TOTAL

log = get_logger(__name__)

LONGEST_DETAIL = 1000


class DeadLetters:
    """Publishes dead letters for one service."""

    def __init__(self, service: str, publisher: Publisher, clock: Clock = system_clock) -> None:
        self._service, self._publisher, self._clock = service, publisher, clock

    def letter(self, record: Any, error: UndecodableMessage) -> Record:
        """The dead letter of a consumed `record` (aiokafka's ConsumerRecord), counted and logged."""
        # A key that a producer took for the name of a field must not be kept here.
        detail = without_keys(error.detail)[:LONGEST_DETAIL]
        DEAD_LETTERS_TOTAL.labels(topic=record.topic, reason=error.reason).inc()
        log.warning(
            "record_set_aside",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=error.reason,
            detail=detail,
        )
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            service=self._service,
            reason=error.reason,
            detail=detail,
            at=self._clock(),
        )
        return Record(DEAD_LETTERS.name, record.topic.encode(), encode(letter))

    async def set_aside(self, record: Any, error: UndecodableMessage) -> None:
        """Publish the dead letter of one record and wait for its acknowledgement."""
        await self._publisher.publish([self.letter(record, error)])
