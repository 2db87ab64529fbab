"""Following a compacted topic: the latest of each key, whatever else is in the topic."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import TopicAuthorizationFailedError

from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import TOPIC_EPOCHS, Topic
from sentryml_common.health import Health
from sentryml_common.kafka.follower import Follower
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time

MADE_AT = datetime(2026, 11, 23, tzinfo=UTC)


def epoch(number: int) -> TopicEpoch:
    return TopicEpoch(topic="t", epoch=number, made_at=MADE_AT)


pytestmark = pytest.mark.usefixtures("quiet")


class Following:
    """A follower that is given records as its consumer would."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.follower = Follower(TOPIC_EPOCHS, TopicEpoch, on_change=self.changed.append)

    def take(self, key: bytes | None, value: bytes | None, at: float = 1_795_392_000.5) -> None:
        self.follower._apply(
            ConsumerRecord(
                topic=TOPIC_EPOCHS.name,
                partition=0,
                offset=0,
                timestamp=int(at * 1000),
                timestamp_type=0,
                key=key,
                value=value,
                checksum=None,
                serialized_key_size=0,
                serialized_value_size=0,
                headers=(),
            )
        )


@pytest.fixture
def following() -> Following:
    return Following()


def test_the_newest_message_of_a_key_replaces_the_older(following: Following) -> None:
    following.take(b"t", encode(epoch(1)))
    following.take(b"t", encode(epoch(2)))
    following.take(b"u", encode(epoch(1)))
    assert following.follower.current == {"t": epoch(2), "u": epoch(1)}
    assert following.changed == ["t", "t", "u"]


def test_a_tombstone_deletes_its_key_and_no_other(following: Following) -> None:
    following.take(b"t", encode(epoch(1)))
    following.take(b"u", encode(epoch(1)))
    following.take(b"t", None)
    following.take(b"never seen", None)
    assert following.follower.current == {"u": epoch(1)}
    assert following.follower.deleted == dict.fromkeys(("t", "never seen"), 1_795_392_000.5)


def test_when_a_key_was_deleted_is_known_after_it_has_come_back(following: Following) -> None:
    following.take(b"t", None)
    following.take(b"t", encode(epoch(2)))
    assert following.follower.current == {"t": epoch(2)}
    assert set(following.follower.deleted) == {"t"}


@pytest.mark.parametrize("value", [b"{", b"{}", b'{"v":2}', b""])
def test_a_message_that_breaks_its_contract_leaves_the_key_as_it_was(following: Following, value: bytes) -> None:
    following.take(b"t", encode(epoch(1)))
    following.take(b"t", value)
    assert following.follower.current == {"t": epoch(1)}
    assert following.changed == ["t"]


def test_a_key_that_is_no_text_does_not_stop_the_following(following: Following) -> None:
    following.take(b"\xff\xfe", encode(epoch(1)))
    following.take(b"t", encode(epoch(2)))
    assert following.follower.current["t"] == epoch(2)


def test_it_says_when_the_newest_message_of_a_key_was_published(following: Following) -> None:
    following.take(b"t", encode(epoch(1)), at=1.0)
    following.take(b"t", encode(epoch(2)), at=2.5)
    following.take(b"u", encode(epoch(2)), at=3.0)
    following.take(b"u", None, at=4.0)
    assert following.follower.published == {"t": 2.5}


def test_deletions_of_long_ago_are_forgotten(following: Following) -> None:
    day = 86_400.0
    for number in range(1000):
        following.take(b"model-%d" % number, None, number * day)
    following.take(b"model-970", None, 1000 * day)
    assert following.follower.deleted["model-970"] == 1000 * day
    assert len(following.follower.deleted) == 40
    assert min(following.follower.deleted.values()) == 960 * day


def following_in(log: MemoryLog, topic: Topic = TOPIC_EPOCHS, **how: Any) -> Follower[TopicEpoch]:
    make = partial(log.consumer, auto_offset_reset="earliest")
    return Follower(topic, TopicEpoch, make=lambda _: make(), open_ids=log.open_topic_ids, **how)


async def life(log: MemoryLog, health: Health) -> Follower[TopicEpoch]:
    """Follow a topic that is written, deleted from and compacted all the time, by a Kafka that fails now and then."""
    topic, rng = replace(TOPIC_EPOCHS, partitions=3), log.rng
    log.create(topic.name, topic.partitions)
    follower = following_in(log, topic)

    def write(count: int) -> None:
        for _ in range(count):
            key = f"key-{rng.randrange(10)}"
            value = None if rng.random() < 0.3 else encode(epoch(rng.randint(1, 1000)))
            log.append(topic.name, rng.choice((value, value, value, b"{")), key.encode())
            log.skip(topic.name, rng.randrange(topic.partitions), rng.choice((0, 0, 2)))

    write(rng.randint(0, 100))
    task = asyncio.create_task(follower.run(KafkaSettings(), health))
    await follower.caught_up.wait()
    for _ in range(20):
        assert follower.current == latest(log), "it is complete, and then stays so"
        write(rng.randint(0, 5))
        await asyncio.sleep(5)
    log.chances = Chances()
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.wait([task])
    return follower


def latest(log: MemoryLog) -> dict[str, TopicEpoch]:
    """What the topic holds, by key."""
    found: dict[str, TopicEpoch] = {}
    for record in log.records(TOPIC_EPOCHS.name):
        key = (record.key or b"").decode()
        if record.value is None:
            found.pop(key, None)
        elif record.value != b"{":
            found[key] = decode(TopicEpoch, record.value)
    return found


def test_whatever_kafka_does_it_holds_what_the_topic_holds() -> None:
    for seed in range(40):
        log, health = MemoryLog(seed, Chances(getmany=0.1, short_read=0.3)), Health()
        health.ready("start")
        follower = run_in_virtual_time(life(log, health))
        assert follower.current == latest(log), f"seed {seed}"
        assert health.waiting_for == {}, f"seed {seed}"


def test_while_kafka_refuses_readyz_says_so_and_what_is_known_serves() -> None:
    async def story() -> None:
        log, health = MemoryLog(), Health()
        log.create(TOPIC_EPOCHS.name)
        log.append(TOPIC_EPOCHS.name, encode(epoch(1)), b"t")
        follower = following_in(log)
        task = asyncio.create_task(follower.run(KafkaSettings(), health))
        await follower.caught_up.wait()
        log.fail_next("getmany", TopicAuthorizationFailedError(TOPIC_EPOCHS.name))

        async def says_so() -> bool:
            return "TopicAuthorizationFailedError" in health.waiting_for.get(TOPIC_EPOCHS.name, "")

        await eventually(says_so, what="/readyz to say so", within=30)
        assert follower.current == {"t": epoch(1)}

        async def is_ready() -> bool:
            return TOPIC_EPOCHS.name not in health.waiting_for

        await eventually(is_ready, what="/readyz to say that all is well", within=30)
        task.cancel()
        await asyncio.wait([task])

    run_in_virtual_time(story())


@pytest.mark.parametrize("more", [0, 1, 5], ids=["fewer records", "as many", "more"])
def test_of_a_topic_that_was_recreated_it_holds_the_new_keys_alone(more: int) -> None:
    async def story() -> None:
        log, health, changed = MemoryLog(), Health(), set[str]()
        log.create(TOPIC_EPOCHS.name)
        for key in (b"kept", b"gone"):
            log.append(TOPIC_EPOCHS.name, encode(epoch(1)), key)
        log.append(TOPIC_EPOCHS.name, None, b"deleted")
        follower = following_in(log, on_change=changed.add)
        task = asyncio.create_task(follower.run(KafkaSettings(), health))
        await follower.caught_up.wait()
        changed.clear()
        current, deleted = follower.current, follower.deleted
        log.delete(TOPIC_EPOCHS.name)

        async def says_so() -> bool:
            return "does not exist" in health.waiting_for.get(TOPIC_EPOCHS.name, "")

        await eventually(says_so, what="/readyz to say that the topic does not exist", within=30)
        assert current.keys() == {"kept", "gone"}, "what is known until then serves"
        log.create(TOPIC_EPOCHS.name)
        log.append(TOPIC_EPOCHS.name, encode(epoch(2)), b"kept")
        for number in range(2 * more):
            log.append(TOPIC_EPOCHS.name, encode(epoch(number + 1)), b"kept")

        async def is_read_again() -> bool:
            return current == latest(log) and TOPIC_EPOCHS.name not in health.waiting_for

        await eventually(is_read_again, what="the new topic to be read", within=30)
        assert (follower.published.keys(), deleted) == ({"kept"}, {})
        assert changed == {"kept", "gone"}
        log.append(TOPIC_EPOCHS.name, None, b"kept")
        await eventually(is_read_again, what="what comes later to be read", within=30)
        task.cancel()
        await asyncio.wait([task])

    run_in_virtual_time(story())
