"""The incarnations of a topic on a real Kafka: each has one number, the same for every reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex

import pytest

from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import MONITORS, TOPIC_EPOCHS, Topic
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.epochs import TopicIncarnation, TopicRecreated, read_epochs
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topic_ids import TopicIds, open_topic_ids
from sentryml_common.kafka.topics import ensure_topics, find_differences
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin

WHEN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def ids(settings: KafkaSettings) -> AsyncIterator[TopicIds]:
    async with open_topic_ids(settings, Health()) as asked:
        yield asked


@pytest.fixture
async def topic(settings: KafkaSettings) -> Topic:
    """A topic of the test's own."""
    own = replace(MONITORS, name=f"epochs.{token_hex(6)}")
    await ensure_topics(settings, Health(), [TOPIC_EPOCHS, own])
    return own


async def delete(settings: KafkaSettings, topic: Topic) -> None:
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        await admin.delete_topics([topic.name])

    async def gone() -> bool:
        return await find_differences(settings, Health(), [topic]) == {topic.name: "missing"}

    await eventually(gone, what="the topic to be deleted")


async def test_all_who_meet_a_topic_at_once_give_it_the_same_number(
    settings: KafkaSettings, ids: TopicIds, topic: Topic
) -> None:
    incarnations = await asyncio.gather(*(TopicIncarnation.begin(topic, ids, settings, Health()) for _ in range(5)))
    assert [incarnation.epoch for incarnation in incarnations] == [1] * 5
    again = await TopicIncarnation.begin(topic, ids, settings, Health())
    assert again.epoch == 1
    await again.check()


async def test_a_recreated_topic_ends_the_incarnation_that_was_read_and_begins_the_next(
    settings: KafkaSettings, ids: TopicIds, topic: Topic
) -> None:
    first = await TopicIncarnation.begin(topic, ids, settings, Health())
    await first.check()
    await delete(settings, topic)
    with pytest.raises(TopicRecreated, match=topic.name):
        await first.check()
    with pytest.raises(Unavailable, match="does not exist"):
        await TopicIncarnation.begin(topic, ids, settings, Health())
    await ensure_topics(settings, Health(), [topic])
    with pytest.raises(TopicRecreated, match="recreated"):
        await first.check()
    second = await TopicIncarnation.begin(topic, ids, settings, Health())
    assert second.epoch == 2
    await second.check()
    assert (await read_epochs(settings, Health()))[topic.name].epoch == 2


async def test_an_epoch_of_before_ids_were_recorded_is_that_of_the_topic_as_it_is(
    settings: KafkaSettings, ids: TopicIds, topic: Topic
) -> None:
    async with open_publisher(settings, Health()) as publisher:
        old = TopicEpoch(topic=topic.name, epoch=3, made_at=WHEN)
        await publisher.publish([Record(TOPIC_EPOCHS.name, topic.name.encode(), encode(old))])
    assert (await TopicIncarnation.begin(topic, ids, settings, Health())).epoch == 3
    recorded = (await read_epochs(settings, Health()))[topic.name]
    assert (recorded.epoch, recorded.topic_id) == (3, (await ids.of(topic.name))[topic.name])


async def test_only_topics_that_exist_have_an_id(ids: TopicIds, topic: Topic) -> None:
    assert set(await ids.of(topic.name, "no-such-topic")) == {topic.name}


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"v": 1}'])
async def test_a_record_that_cannot_be_read_keeps_nobody_from_beginning(
    settings: KafkaSettings, ids: TopicIds, topic: Topic, value: bytes | None
) -> None:
    first = await TopicIncarnation.begin(topic, ids, settings, Health())
    async with open_publisher(settings, Health()) as publisher:
        await publisher.publish([Record(TOPIC_EPOCHS.name, b"anybody", value)])
    again = await TopicIncarnation.begin(topic, ids, settings, Health())
    assert (first.epoch, again.epoch) == (1, 1)


async def test_a_follower_of_a_recreated_topic_holds_the_new_keys_alone(settings: KafkaSettings, topic: Topic) -> None:
    async def publish(*keys: bytes) -> None:
        async with open_publisher(settings, Health()) as publisher:
            message = encode(TopicEpoch(topic="any", epoch=1, made_at=WHEN))
            await publisher.publish(Record(topic.name, key, message) for key in keys)

    follower, health = Follower(topic, TopicEpoch), Health()
    health.ready("start")
    await publish(b"kept", b"gone")
    task = asyncio.create_task(follower.run(settings, health))
    try:
        await eventually(lambda: holds(follower, {"kept", "gone"}), what="the first keys")
        await delete(settings, topic)
        await ensure_topics(settings, Health(), [topic])
        await publish(b"new", b"kept", b"new", b"new")
        await eventually(lambda: holds(follower, {"kept", "new"}), what="the keys of the new topic alone")
        await publish(b"later")
        await eventually(lambda: holds(follower, {"kept", "new", "later"}), what="what comes later")
        assert not health.waiting_for
    finally:
        task.cancel()
        await asyncio.wait({task})


async def holds(follower: Follower[TopicEpoch], keys: set[str]) -> bool:
    return follower.current.keys() == keys
