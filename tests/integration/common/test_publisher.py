"""A publisher goes on after a producer whose numbers the broker refuses, and after records that are too large."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from secrets import token_hex

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from sentryml_common.contracts.topics import DEAD_LETTERS
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.health import Health
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


@pytest.mark.parametrize(
    ("accepted_bytes", "size"), [("1048588", 1_100_000), ("2000", 3_000)], ids=["for the client", "for the broker"]
)
async def test_a_record_that_is_too_large_is_named_and_holds_up_no_other(
    kafka_bootstrap: str, accepted_bytes: str, size: int
) -> None:
    settings, health = KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health()
    name = f"sentryml.test.{token_hex(8)}"
    topic = replace(DEAD_LETTERS, name=name, config=DEAD_LETTERS.config | {"max.message.bytes": accepted_bytes})
    await ensure_topics(settings, health, [topic])
    large = Record(name, b"large", random.Random(1).randbytes(size))
    async with open_publisher(settings, health) as publisher:
        await publisher.publish([Record(name, b"key", b"first")])
        with capture_logs() as logs, pytest.raises(RecordTooLarge, match=r"max\.message\.bytes"):
            await publisher.publish([Record(name, b"key", b"second"), large, Record(name, b"key", b"third")])
        said = [line for line in logs if line["event"] == "record_too_large"]
        assert [(line["topic"], line["key"], line["bytes"]) for line in said] == [(name, "large", size)]
        with pytest.raises(RecordTooLarge):
            await publisher.publish([large])
        await publisher.publish([Record(name, b"key", b"fourth")])
    values = [each.value for each in await records_in(kafka_bootstrap, topic)]
    assert values == [b"first", b"second", b"third", b"fourth"]
