"""Following a compacted topic: the latest of each key, whatever else is in the topic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from aiokafka import ConsumerRecord

from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import TOPIC_EPOCHS
from sentryml_common.kafka.follower import Follower

MADE_AT = datetime(2026, 11, 23, tzinfo=UTC)


def epoch(number: int) -> TopicEpoch:
    return TopicEpoch(topic="t", epoch=number, made_at=MADE_AT)


class Following:
    """A follower that is given records as its consumer would."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.follower = Follower(TOPIC_EPOCHS, TopicEpoch, on_change=self.changed.append)

    def take(self, key: bytes | None, value: bytes | None, timestamp: int = 1_795_392_000_500) -> None:
        self.follower._apply(
            ConsumerRecord(
                topic=TOPIC_EPOCHS.name,
                partition=0,
                offset=0,
                timestamp=timestamp,
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


DAY = 86_400_000


def test_it_says_when_the_newest_message_of_a_key_was_published(following: Following) -> None:
    following.take(b"t", encode(epoch(1)), timestamp=1000)
    following.take(b"t", encode(epoch(2)), timestamp=2500)
    following.take(b"u", encode(epoch(2)), timestamp=3000)
    following.take(b"u", None, timestamp=4000)
    assert following.follower.published == {"t": 2.5}


def test_deletions_are_remembered_for_some_days(following: Following) -> None:
    for number in range(100):
        following.take(b"key-%d" % number, None, timestamp=number * DAY // 4)
    assert list(following.follower.deleted) == [f"key-{number}" for number in range(91, 100)]
    following.take(b"key-91", None, timestamp=100 * DAY // 4)
    assert list(following.follower.deleted) == [*(f"key-{number}" for number in range(92, 100)), "key-91"]
