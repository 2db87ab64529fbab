"""The shared consumer loop, the follower and the registry of topics, on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS, PREDICTIONS, TOPIC_EPOCHS, TOPICS, Topic
from sentryml_common.errors import ConfigurationError, Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics, find_differences
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def a_message(number: int) -> TopicEpoch:
    """A small message of some contract; which one does not matter to the loop."""
    return TopicEpoch(topic=f"key-{number}", epoch=number, made_at=NOW)


@pytest.fixture
async def topic(settings: KafkaSettings) -> Topic:
    """A topic of the test's own, of one partition."""
    name = f"sentryml.test.{token_hex(8)}"  # the servers may be there from an earlier run
    own = replace(TOPIC_EPOCHS, name=name, partitions=1)
    await ensure_topics(settings, Health(), [own, DEAD_LETTERS])
    return own


async def produce(settings: KafkaSettings, topic: Topic, *values: bytes | None, compression: str | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, compression_type=compression) as producer:
        for number, value in enumerate(values):
            await producer.send_and_wait(topic.name, value, key=f"key-{number}".encode())


@asynccontextmanager
async def running(settings: KafkaSettings, consumer: BatchConsumer[TopicEpoch]) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run(settings, Health()))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def committed(settings: KafkaSettings, topic: Topic, group: str) -> int | None:
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, group_id=group, enable_auto_commit=False
    ) as consumer:
        return await consumer.committed(TopicPartition(topic.name, 0))


async def test_messages_come_in_order_a_bad_one_is_dead_lettered_and_offsets_follow(
    settings: KafkaSettings, topic: Topic
) -> None:
    seen: list[int] = []

    async def handle(messages: list[TopicEpoch]) -> None:
        seen.extend(message.epoch for message in messages)

    await produce(
        settings, topic, encode(a_message(1)), b"{", None, encode(a_message(2)), b'{"v":1}', encode(a_message(3))
    )
    async with open_publisher(settings, Health()) as publisher:
        consumer = BatchConsumer(topic, TopicEpoch, topic.name, handle, DeadLetters("test", publisher))
        async with running(settings, consumer):

            async def all_done() -> bool:
                return await committed(settings, topic, topic.name) == 6

            await eventually(all_done, what="the offsets to be committed")
    assert seen == [1, 2, 3]
    letters = await dead_letters_of(settings, topic)
    assert letters == {(0, 1): "not_json", (0, 4): "breaks_contract"}


async def dead_letters_of(settings: KafkaSettings, topic: Topic) -> dict[tuple[int, int], str]:
    partition, found = TopicPartition(DEAD_LETTERS.name, 0), {}
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=None) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for record in (await consumer.getmany(partition, timeout_ms=200)).get(partition, []):
                letter = DEAD_LETTERS.contract.model_validate_json(record.value)  # type: ignore[union-attr]
                if letter.topic == topic.name:  # type: ignore[attr-defined]
                    found[letter.partition, letter.offset] = letter.reason  # type: ignore[attr-defined]
    return found


async def test_while_a_server_is_away_the_batch_is_retried_and_nothing_is_skipped(
    settings: KafkaSettings, topic: Topic
) -> None:
    seen: list[int] = []
    refusals = 2

    async def handle(messages: list[TopicEpoch]) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable("PostgreSQL is away")
        seen.extend(message.epoch for message in messages)

    await produce(settings, topic, *(encode(a_message(number)) for number in range(1, 6)))
    async with open_publisher(settings, Health()) as publisher:
        consumer = BatchConsumer(topic, TopicEpoch, topic.name, handle, DeadLetters("test", publisher))
        async with running(settings, consumer):

            async def all_seen() -> bool:
                return len(seen) >= 5

            await eventually(all_seen, what="all messages to be handled")
    assert seen == [1, 2, 3, 4, 5]


async def test_what_was_handled_but_not_committed_is_handled_again(settings: KafkaSettings, topic: Topic) -> None:
    begun = asyncio.Event()

    async def never_ends(_: list[TopicEpoch]) -> None:
        begun.set()
        await asyncio.Event().wait()

    seen: list[int] = []

    async def handle(messages: list[TopicEpoch]) -> None:
        seen.extend(message.epoch for message in messages)

    await produce(settings, topic, encode(a_message(1)))
    async with open_publisher(settings, Health()) as publisher:
        letters = DeadLetters("test", publisher)
        async with running(settings, BatchConsumer(topic, TopicEpoch, topic.name, never_ends, letters)):
            await asyncio.wait_for(begun.wait(), 60)
        async with running(settings, BatchConsumer(topic, TopicEpoch, topic.name, handle, letters)):

            async def seen_again() -> bool:
                return bool(seen)

            await eventually(seen_again, what="the message to be handled again")
    assert seen == [1]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_foreign_producers_compression_is_read(settings: KafkaSettings, topic: Topic, compression: str) -> None:
    follower: Follower[TopicEpoch] = Follower(topic, TopicEpoch)
    await produce(settings, topic, encode(a_message(1)), compression=compression)
    task = asyncio.create_task(follower.run(settings, Health()))
    try:
        await asyncio.wait_for(follower.caught_up.wait(), 60)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert follower.current == {"key-0": a_message(1)}


async def test_a_follower_holds_the_latest_of_each_key_and_tombstones_remove(
    settings: KafkaSettings, topic: Topic
) -> None:
    follower: Follower[TopicEpoch] = Follower(topic, TopicEpoch)
    await produce(settings, topic, encode(a_message(1)), encode(a_message(2)), encode(a_message(3)))
    await produce(settings, topic, encode(a_message(9)), None, b"not json")
    task = asyncio.create_task(follower.run(settings, Health()))
    try:
        await asyncio.wait_for(follower.caught_up.wait(), 60)
        assert follower.current == {"key-0": a_message(9), "key-2": a_message(3)}
        await produce(settings, topic, None)

        async def removed() -> bool:
            return "key-0" not in follower.current

        await eventually(removed, what="the tombstone to take effect")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_records_are_published_in_order_and_acknowledged(settings: KafkaSettings, topic: Topic) -> None:
    async with open_publisher(settings, Health()) as publisher:
        await publisher.publish(Record(topic.name, b"key", b"%d" % number) for number in range(100))
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=None) as consumer:
        partition = TopicPartition(topic.name, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        values: list[bytes] = []
        while len(values) < 100:
            values += [r.value for r in (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])]
    assert values == [b"%d" % number for number in range(100)]


async def test_the_registry_is_made_as_declared(settings: KafkaSettings) -> None:
    await ensure_topics(settings, Health())
    assert await find_differences(settings, Health(), TOPICS) == {}


async def test_a_missing_topic_is_named_where_services_may_not_make_it(settings: KafkaSettings, topic: Topic) -> None:
    missing = replace(topic, name=topic.name + ".missing")
    with pytest.raises(ConfigurationError, match=r"\.missing: missing.*sentryml-topics apply"):
        await ensure_topics(settings.model_copy(update={"topics_create": False}), Health(), [missing])


async def test_another_number_of_partitions_is_refused_for_internal_topics_and_may_grow_for_predictions(
    settings: KafkaSettings, topic: Topic
) -> None:
    internal = replace(HISTOGRAMS, name=topic.name + ".internal", partitions=2)
    growing = replace(PREDICTIONS, name=topic.name + ".growing", partitions=2)
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        await admin.create_topics([NewTopic(each.name, 3, 1) for each in (internal, growing)])
    await ensure_topics(settings, Health(), [growing])
    with pytest.raises(ConfigurationError, match="has 3 partitions, needs 2"):
        await ensure_topics(settings, Health(), [internal])
