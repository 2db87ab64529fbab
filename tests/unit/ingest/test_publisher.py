"""Publishing requests: acknowledged within a bounded time, or reported as unavailable; small ones together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_ingest.publisher import MOST_BYTES, RECORDS_UNDER_WAY, SMALL_BYTES, SMALL_EVENTS, EventPublisher
from sentryml_ingest.settings import MOST_EVENTS


class Taking(Publisher):
    """Kafka that acknowledges records once `acknowledging` is set; `most_bytes` is the largest that it takes."""

    def __init__(self, most_bytes: int = 1_000_000) -> None:
        self.most_bytes = most_bytes
        self.taken: list[Record] = []
        self.acknowledging = asyncio.Event()

    async def publish(self, records: Iterable[Record]) -> None:
        for record in records:
            if len(record.value or b"") > self.most_bytes:
                raise RecordTooLarge(1, "too large")
            self.taken.append(record)
        await self.acknowledging.wait()

    def numbers(self) -> list[list[int]]:
        """What is in each record."""
        return [orjson.loads(record.value or b"") for record in self.taken]


def connected(kafka: Publisher, seconds: float = 30.0) -> EventPublisher:
    publisher = EventPublisher(seconds)
    publisher.connect(kafka)
    return publisher


async def settled() -> None:
    """Until nothing more happens by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_request_alone_is_one_record_without_a_key_at_once() -> None:
    kafka = Taking()
    task = connected(kafka).publish(b"[1]", 1)
    await settled()
    assert kafka.taken == [Record(PREDICTIONS.name, None, b"[1]")]
    assert not task.done(), "it is not acknowledged"
    kafka.acknowledging.set()
    await task


async def test_requests_of_one_moment_share_a_record_and_later_ones_the_next() -> None:
    kafka = Taking()
    publisher = connected(kafka)
    first = [publisher.publish(b"[%d,%d]" % (n, n), 2) for n in range(3)]
    await settled()
    later = []
    for number in range(10, 10 + RECORDS_UNDER_WAY + 2):
        later.append(publisher.publish(b"[%d]" % number, 1))
        await settled()
    at_once = [[0, 0, 1, 1, 2, 2], *([number] for number in range(10, 10 + RECORDS_UNDER_WAY - 1))]
    assert kafka.numbers() == at_once, "the others wait"
    kafka.acknowledging.set()
    await asyncio.gather(*first, *later)
    assert kafka.numbers()[RECORDS_UNDER_WAY:] == [[13, 14, 15]]


@pytest.mark.parametrize(("array", "events"), [(b"[1]", SMALL_EVENTS + 1), (b"[%s1]" % (b" " * SMALL_BYTES), 1)])
async def test_large_requests_wait_for_nobody(array: bytes, events: int) -> None:
    kafka = Taking()
    publisher = connected(kafka)
    tasks = [publisher.publish(array, events) for _ in range(RECORDS_UNDER_WAY + 3)]
    await settled()
    assert [record.value for record in kafka.taken] == [array] * len(tasks)
    kafka.acknowledging.set()
    await asyncio.gather(*tasks)


@given(st.lists(st.tuples(st.integers(1, SMALL_EVENTS), st.integers(0, SMALL_BYTES - 1_000)), min_size=1, max_size=60))
@example([(SMALL_EVENTS, 0)] * (MOST_EVENTS // SMALL_EVENTS + 1))
def test_records_are_within_their_bounds_and_hold_each_request_once(requests: list[tuple[int, int]]) -> None:
    async def publish_all() -> Taking:
        kafka = Taking()
        kafka.acknowledging.set()
        publisher = connected(kafka)
        arrays = [
            orjson.dumps([number] * events)[:-1] + b" " * blanks + b"]"
            for number, (events, blanks) in enumerate(requests)
        ]
        await asyncio.gather(*(publisher.publish(array, requests[n][0]) for n, array in enumerate(arrays)))
        return kafka

    kafka = asyncio.run(publish_all())
    assert all(len(found) <= MOST_EVENTS for found in kafka.numbers())
    assert all(len(record.value or b"") <= MOST_BYTES + len(requests) for record in kafka.taken)
    expected = [number for number, (events, _) in enumerate(requests) for _ in range(events)]
    assert sorted(number for found in kafka.numbers() for number in found) == expected


async def test_one_of_several_is_not_refused_for_the_size_of_all() -> None:
    kafka = Taking(most_bytes=12)
    kafka.acknowledging.set()
    publisher = connected(kafka)
    answers = await asyncio.gather(
        *(publisher.publish(array, 1) for array in (b"[1,2,3]", b"[4,5,6]", b"[7,7,7,7,7,7,7]")), return_exceptions=True
    )
    assert answers[:2] == [None, None]
    assert isinstance(answers[2], RecordTooLarge)
    assert kafka.numbers() == [[1, 2, 3], [4, 5, 6]]


async def test_a_sender_that_goes_away_takes_nobody_along() -> None:
    kafka = Taking()
    publisher = connected(kafka)
    gone, stays = (publisher.publish(b"[%d]" % number, 1) for number in range(2))
    await settled()
    gone.cancel()
    kafka.acknowledging.set()
    await stays
    assert kafka.numbers() == [[0, 1]]


@pytest.mark.parametrize("events", [1, SMALL_EVENTS + 1])
async def test_before_kafka_is_reached_it_is_unavailable(events: int) -> None:
    with pytest.raises(Unavailable, match="Kafka is not reached yet"):
        await EventPublisher(1.0).publish(b"[]", events)


@pytest.mark.parametrize("events", [1, SMALL_EVENTS + 1])
async def test_without_an_acknowledgement_in_time_it_is_unavailable(events: int) -> None:
    with pytest.raises(Unavailable, match=r"did not acknowledge within 0\.01 s"):
        await connected(Taking(), 0.01).publish(b"[]", events)


async def test_nobody_waits_longer_for_those_before() -> None:
    """The time of a request begins when it comes, not when its record is sent: that one is not sent any more."""
    kafka = Taking()
    publisher = connected(kafka, 0.02)
    begun = [publisher.publish(b"[%d]" % number, 1) for number in range(RECORDS_UNDER_WAY)]
    for task in begun:
        await asyncio.wait({task}, timeout=0)
    answers = await asyncio.gather(*begun, *(publisher.publish(b"[9]", 1) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
