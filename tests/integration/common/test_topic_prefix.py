"""A prefix keeps apart what consumers, followers and publishers of two installations do on one Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex

import pytest
from aiokafka.conn import AIOKafkaConnection

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import DEAD_LETTERS, TOPIC_EPOCHS, Topic
from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.kafka import ownership
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.epochs import TopicIncarnation, read_epochs
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topic_ids import open_topic_ids
from sentryml_common.kafka.topics import ensure_topics, find_differences
from sentryml_common.metrics import CONSUMED_TOTAL, DEAD_LETTERS_TOTAL
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.reading import messages_in

GROUP = "readers"
METADATA, BEFORE_TOPIC_IDS = 3, 11
"""Kafka's number of the Metadata request, and its newest version before 3.1."""


@pytest.fixture
def installations(kafka_bootstrap: str) -> list[KafkaSettings]:
    """Two, without topics yet."""
    name = token_hex(4)
    return [KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=f"{name}.{each}.") for each in ("a", "b")]


@pytest.fixture
def topic() -> Topic:
    return replace(TOPIC_EPOCHS, name=f"test.{token_hex(4)}")


def a_message(number: int) -> TopicEpoch:
    return TopicEpoch(topic="key", epoch=number, made_at=datetime(2026, 11, 23, tzinfo=UTC))


async def topics_in(settings: KafkaSettings) -> set[str]:
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        return set(await admin.list_topics())


@asynccontextmanager
async def consuming(settings: KafkaSettings, topic: Topic, seen: list[int]) -> AsyncIterator[None]:
    """Consume a topic into `seen`, once the group reads it."""

    async def handle(messages: list[TopicEpoch]) -> None:
        seen.extend(each.epoch for each in messages)

    async def owned() -> bool:
        return await ownership.partitions_without_owner(GROUP, topic, settings) == set()

    async with open_publisher(settings, Health()) as publisher:
        consumer = BatchConsumer(topic, TopicEpoch, GROUP, handle, DeadLetters("test", publisher))
        task = asyncio.create_task(consumer.run(settings, Health()))
        try:
            await eventually(owned, what="the group to read the topic")
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_topics_are_made_and_compared_under_the_prefix(installations: list[KafkaSettings], topic: Topic) -> None:
    first, second = installations
    await ensure_topics(first, Health(), [topic])
    assert await find_differences(first, Health(), [topic]) == {}
    assert await find_differences(second, Health(), [topic]) == {second.prefixed(topic.name): "missing"}
    names = await topics_in(first)
    assert first.prefixed(topic.name) in names
    assert topic.name not in names


async def test_a_group_reads_its_own_installation(installations: list[KafkaSettings], topic: Topic) -> None:
    first, second = installations
    seen: dict[str, list[int]] = {each.topic_prefix: [] for each in installations}
    for settings in installations:
        await ensure_topics(settings, Health(), [topic, DEAD_LETTERS])
    async with (
        consuming(first, topic, seen[first.topic_prefix]),
        consuming(second, topic, seen[second.topic_prefix]),
    ):
        for number, settings in enumerate(installations, start=1):
            async with open_publisher(settings, Health()) as publisher:
                values = [encode(a_message(number)), b"{", encode(a_message(10 * number))]
                await publisher.publish([Record(topic.name, b"key", value) for value in values])

            async def all_committed(settings: KafkaSettings = settings) -> bool:
                commits = await committed_offsets(GROUP, settings, Health())
                return [(tp.topic, commit.offset) for tp, commit in commits.items()] == [
                    (settings.prefixed(topic.name), 3)
                ]

            await eventually(all_committed, what=f"the commit of {settings.topic_prefix}")
    assert list(seen.values()) == [[1, 10], [2, 20]]
    for settings in installations:
        own = replace(DEAD_LETTERS, name=settings.prefixed(DEAD_LETTERS.name))
        [letter] = await messages_in(settings.kafka_bootstrap, own, DeadLetter)
        assert (letter.topic, letter.offset) == (settings.prefixed(topic.name), 1)


async def test_metrics_name_a_topic_without_its_prefix(installations: list[KafkaSettings], topic: Topic) -> None:
    settings = installations[0]
    await ensure_topics(settings, Health(), [topic, DEAD_LETTERS])
    async with consuming(settings, topic, []), open_publisher(settings, Health()) as publisher:
        await publisher.publish([Record(topic.name, b"key", b"{")])

        async def counted() -> bool:
            return CONSUMED_TOTAL.labels(topic=topic.name)._value.get() == 1

        await eventually(counted, what="the record to be counted")
    assert DEAD_LETTERS_TOTAL.labels(topic=topic.name, reason="not_json")._value.get() == 1


async def test_a_follower_and_epochs_are_those_of_their_installation(
    installations: list[KafkaSettings], topic: Topic
) -> None:
    for number, settings in enumerate(installations, start=1):
        await ensure_topics(settings, Health(), [topic, TOPIC_EPOCHS])
        async with open_publisher(settings, Health()) as publisher:
            await publisher.publish([Record(topic.name, b"key", encode(a_message(number)))])
    ids = set()
    for number, settings in enumerate(installations, start=1):
        follower = Follower(topic, TopicEpoch)
        following = asyncio.create_task(follower.run(settings, Health()))
        try:
            await asyncio.wait_for(follower.caught_up.wait(), 30)
            assert {key: each.epoch for key, each in follower.current.items()} == {"key": number}
        finally:
            following.cancel()
            await asyncio.wait({following})
        async with open_topic_ids(settings, Health()) as asked:
            incarnation = await TopicIncarnation.begin(topic, asked, settings, Health())
            await incarnation.check()
        epochs = await read_epochs(settings, Health())
        assert list(epochs) == [topic.name]
        ids.add(epochs[topic.name].topic_id)
    assert len(ids) == 2


async def test_a_kafka_that_is_too_old_is_refused_at_start(
    installations: list[KafkaSettings], topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one that says it knows nothing newer than what a 3.0 does."""
    ask = AIOKafkaConnection._do_version_lookup

    async def as_before(connection: AIOKafkaConnection) -> None:
        await ask(connection)
        connection._versions[METADATA] = (0, BEFORE_TOPIC_IDS)

    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", as_before)
    with pytest.raises(ConfigurationError, match=r"SentryML needs Apache Kafka 3\.1 or later"):
        await ensure_topics(installations[0], Health(), [topic])
