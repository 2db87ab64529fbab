"""A producer whose numbers the broker no longer takes is replaced: else nothing is published until a restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from secrets import token_hex

from aiokafka import TopicPartition

from sentryml_common.contracts.topics import DEAD_LETTERS
from sentryml_common.errors import Unavailable
from sentryml_common.http.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.reading import records_in


async def test_publishing_goes_on_after_the_broker_and_the_producer_have_fallen_out_of_step(
    kafka_bootstrap: str,
) -> None:
    settings, health = KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health()
    topic = replace(DEAD_LETTERS, name=f"sentryml.test.{token_hex(8)}")
    await ensure_topics(settings, health, [topic])
    async with open_publisher(settings, health) as publisher:
        await publisher.publish([Record(topic.name, None, b"first")])
        # What aiokafka does to a record that it has numbered and then drops, since its partition has no leader.
        publisher._producer._txn_manager.increment_sequence_number(TopicPartition(topic.name, 0), 1)
        both = [publisher.publish([Record(topic.name, None, b"refused")]) for _ in range(2)]
        for refused in await asyncio.gather(*both, return_exceptions=True):
            assert isinstance(refused, Unavailable)

        async def taken() -> bool:
            try:
                await publisher.publish([Record(topic.name, None, b"again")])
            except Unavailable:
                return False
            return True

        await eventually(taken, what="records to be taken again")
    assert [each.value for each in await records_in(kafka_bootstrap, topic)] == [b"first", b"again"]
