"""The log in memory does what Kafka and aiokafka do: the same assertions against both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalOperation, IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from tests.support.eventually import eventually
from tests.support.two_logs import Broker, Consumers, InMemory, RealKafka


@pytest.fixture(params=["kafka", "memory"])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return InMemory()
    return RealKafka(request.getfixturevalue("kafka_bootstrap"))


@pytest.fixture
async def consumers(broker: Broker) -> AsyncIterator[Consumers]:
    made = Consumers(broker)
    yield made
    await made.stop()


@pytest.fixture
def group() -> str:
    return f"sentryml.test.{token_hex(8)}"


class Noting(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes each call, and what the consumer had at that moment."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self.calls: list[tuple[str, set[TopicPartition], set[TopicPartition]]] = []

    def note(self, what: str, partitions: set[TopicPartition]) -> None:
        has = set() if self.consumer is None else set(self.consumer.assignment())
        self.calls.append((what, set(partitions), has))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.note("revoked", revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.note("assigned", assigned)


async def read(consumer: Any, *partitions: TopicPartition, count: int) -> list[tuple[int, bytes]]:
    """Offsets and values of the next `count` records."""
    found: list[tuple[int, bytes]] = []

    async def some_more() -> bool:
        batches = await consumer.getmany(*partitions, timeout_ms=200, max_records=count - len(found))
        found.extend((record.offset, record.value) for records in batches.values() for record in records)
        return len(found) == count

    await eventually(some_more, what=f"{count} records", within=60)
    return found


async def none_comes(consumer: Any) -> bool:
    """Whether what is there has been read."""
    return await consumer.getmany(timeout_ms=300) == {}


async def shrinks(consumer: Any, to: int) -> set[TopicPartition]:
    """What a consumer has once it has `to` partitions."""

    async def fewer() -> bool:
        await consumer.getmany(timeout_ms=100, max_records=1)
        return len(consumer.assignment()) == to

    await eventually(fewer, what="a part of the partitions to go to another", within=60)
    return set(consumer.assignment())


async def test_records_come_in_order_in_portions_and_the_position_follows(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic = await broker.create(1)
    tp = TopicPartition(topic, 0)
    await broker.produce(topic, 0, b"a", b"b", b"c")
    consumer = await consumers.start(topic, group=group)
    assert consumer.assignment() == {tp}
    assert await read(consumer, count=2) == [(0, b"a"), (1, b"b")]
    assert (await consumer.position(tp), consumer.highwater(tp)) == (2, 3)
    assert await read(consumer, count=1) == [(2, b"c")]
    assert await none_comes(consumer)
    assert await consumer.beginning_offsets([tp]) == {tp: 0}
    assert await consumer.end_offsets([tp]) == {tp: 3}
    assert await consumer.end_offsets([]) == {}


async def test_seeking_goes_back_on_and_to_the_beginning(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = await broker.create(1)
    tp = TopicPartition(topic, 0)
    await broker.produce(topic, 0, b"a", b"b", b"c")
    consumer = await consumers.start(topic, group=group)
    await read(consumer, count=3)
    consumer.seek(tp, 1)
    assert await consumer.position(tp) == 1
    assert await read(consumer, count=2) == [(1, b"b"), (2, b"c")]
    assert await consumer.seek_to_beginning(tp)
    assert await consumer.position(tp) == 0
    assert await read(consumer, count=1) == [(0, b"a")]
    with pytest.raises(ValueError, match="positive"):
        consumer.seek(tp, -1)


async def test_what_is_not_assigned_can_be_asked_for_its_ends_and_commits_only(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic = await broker.create(1)
    consumer, other = await consumers.start(topic, group=group), TopicPartition("another", 0)
    with pytest.raises(IllegalStateError):
        consumer.seek(other, 0)
    with pytest.raises(IllegalStateError):
        await consumer.seek_to_beginning(other)
    with pytest.raises(IllegalStateError):
        await consumer.position(other)
    with pytest.raises(IllegalStateError):
        consumer.pause(other)
    with pytest.raises(AssertionError):
        consumer.highwater(other)
    with pytest.raises(IllegalStateError):
        await consumer.commit({other: 1})
    assert await consumer.committed(other) is None


async def test_before_there_is_an_assignment(broker: Broker, consumers: Consumers, group: str) -> None:
    consumer, tp = await consumers.start(group=group), TopicPartition("topic", 0)
    assert consumer.assignment() == set()
    with pytest.raises(IllegalStateError):
        await consumer.commit({tp: 1})
    with pytest.raises(AssertionError):
        consumer.seek(tp, 1)


async def test_commits_are_kept_for_the_group(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = await broker.create(1)
    tp = TopicPartition(topic, 0)
    await broker.produce(topic, 0, b"a", b"b", b"c")
    consumer = await consumers.start(topic, group=group)
    assert await consumer.committed(tp) is None
    await consumer.commit({tp: 1})
    assert await consumer.committed(tp) == 1
    await consumer.commit({tp: OffsetAndMetadata(2, "word")})
    assert await consumer.committed(tp) == 2
    for wrong in ({}, {tp: "1"}):
        with pytest.raises((ValueError, TypeError)):
            await consumer.commit(wrong)
    await consumer.stop()
    with pytest.raises(ConsumerStoppedError):
        await consumer.getmany(timeout_ms=100)
    again = await consumers.start(topic, group=group)
    assert await read(again, count=1) == [(2, b"c")]


async def test_without_a_group_partitions_are_assigned_by_hand(broker: Broker, consumers: Consumers) -> None:
    topic = await broker.create(2)
    tp = TopicPartition(topic, 1)
    await broker.produce(topic, 1, b"a")
    consumer = await consumers.start(group=None)
    consumer.assign([tp])
    assert await consumer.seek_to_beginning(tp)
    assert await read(consumer, tp, count=1) == [(0, b"a")]
    with pytest.raises(IllegalOperation):
        await consumer.commit({tp: 1})
    with pytest.raises(IllegalOperation):
        await consumer.committed(tp)


async def test_a_paused_partition_brings_nothing_until_it_goes_on(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic = await broker.create(2)
    first, second = (TopicPartition(topic, number) for number in range(2))
    consumer = await consumers.start(topic, group=group)
    consumer.pause(first)
    await broker.produce(topic, 0, b"a")
    await broker.produce(topic, 1, b"b")
    assert await read(consumer, count=1) == [(0, b"b")]
    assert await none_comes(consumer)
    assert consumer.paused() == {first}
    consumer.resume(first, second)
    assert await read(consumer, count=1) == [(0, b"a")]


async def test_offsets_without_records_are_passed(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = await broker.create(1)
    tp = TopicPartition(topic, 0)
    await broker.produce_in_transaction(topic, b"a", b"b", commit=True)
    await broker.produce_in_transaction(topic, b"taken back", commit=False)
    await broker.produce_in_transaction(topic, b"c", commit=True)
    consumer = await consumers.start(topic, group=group)
    assert await read(consumer, count=2) == [(0, b"a"), (1, b"b")]
    assert await consumer.position(tp) == 2
    assert await read(consumer, count=1) == [(5, b"c")]
    assert await none_comes(consumer)
    assert (await consumer.position(tp), await consumer.end_offsets([tp])) == (7, {tp: 7})


async def test_what_retention_has_taken_is_passed(broker: Broker, consumers: Consumers, group: str) -> None:
    topic = await broker.create(1)
    tp = TopicPartition(topic, 0)
    await broker.produce(topic, 0, b"a", b"b", b"c")
    consumer = await consumers.start(topic, group=group)
    await read(consumer, count=3)
    await broker.delete_before(tp, 2)
    assert await consumer.beginning_offsets([tp]) == {tp: 2}
    consumer.seek(tp, 0)
    assert await read(consumer, count=1) == [(2, b"c")]


async def test_a_rebalance_takes_partitions_and_begins_at_what_was_committed(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic, listener = await broker.create(2), Noting()
    both = {TopicPartition(topic, number) for number in range(2)}
    for number in range(2):
        await broker.produce(topic, number, b"a", b"b", b"c")
    consumer = listener.consumer = await consumers.start(topic, group=group, listener=listener)
    await read(consumer, count=6)
    await consumer.commit(dict.fromkeys(both, 1))
    consumer.pause(*both)
    listener.calls.clear()
    other = await consumers.start(topic, group=group)
    (kept,) = await shrinks(consumer, to=1)
    (lost,) = both - {kept}
    assert other.assignment() == {lost}
    assert listener.calls == [("revoked", both, both), ("assigned", {kept}, {kept})]
    assert consumer.paused() == set()
    consumer.seek(kept, 1)
    assert await read(consumer, count=2) == [(1, b"b"), (2, b"c")], "and nothing of the lost one"
    assert await none_comes(consumer)
    assert await read(other, count=2) == [(1, b"b"), (2, b"c")]
    with pytest.raises(IllegalStateError):
        await consumer.commit({lost: 3})
    with pytest.raises(IllegalStateError):
        consumer.seek(lost, 0)
    with pytest.raises(AssertionError):
        consumer.highwater(lost)
    listener.calls.clear()
    await consumer.stop()
    assert listener.calls == [], "a consumer that stops is not notified of what it loses"


async def test_a_kept_partition_is_read_again_from_what_was_committed(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic = await broker.create(2)
    for number in range(2):
        await broker.produce(topic, number, b"a", b"b")
    consumer = await consumers.start(topic, group=group)
    await read(consumer, count=4)
    other = await consumers.start(topic, group=group)
    assert len(other.assignment()) == 1
    assert await read(consumer, count=2) == [(0, b"a"), (1, b"b")]


async def test_who_was_thrown_out_cannot_commit_and_joins_again(
    broker: Broker, consumers: Consumers, group: str
) -> None:
    topic, listener = await broker.create(1), Noting()
    tp = TopicPartition(topic, 0)
    await broker.produce(topic, 0, b"a")
    consumer = await consumers.start(topic, group=group, listener=listener)
    await read(consumer, count=1)
    listener.calls.clear()
    await broker.expel(consumer)
    assert consumer.assignment() == {tp}, "it does not know yet"
    with pytest.raises(CommitFailedError):
        await consumer.commit({tp: 1})
    assert await read(consumer, count=1) == [(0, b"a")]
    assert [what for what, *_ in listener.calls] == ["revoked", "assigned"]
    await consumer.commit({tp: 1})
