"""What a worker does when its group moves on: with records of before, with its place in the input, and at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from sentryml_common.errors import Unavailable
from sentryml_drift import event_loop_slices
from tests.unit.drift.test_processor import MODEL, Worker, one, partials


async def test_records_of_an_earlier_generation_are_left_out() -> None:
    worker = Worker()
    await worker.begin()
    value, offset = one(0)[1], 0
    earlier = worker.stream.record(value, offset)
    await worker.begin()
    await worker.processor.take([earlier])
    assert worker.place() == 0
    await worker.take(one(0))
    assert worker.place() == 1


async def test_a_batch_during_which_the_group_has_moved_on_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    await worker.begin()

    async def first_offset(partition: int) -> int:
        worker.stream.generation += 1
        return 0

    monkeypatch.setattr(worker.stream, "first_offset", first_offset)
    await worker.take(one(0), one(5))
    assert (worker.place(), worker.counted()) == (0, 0)


async def test_a_gap_of_before_a_rebalance_is_no_sign_after_it() -> None:
    """The group begins to read where it has committed, which may lie behind the gap, and not at our place."""
    worker = Worker()
    await worker.begin()
    await worker.take(one(5))
    await worker.begin()
    await worker.take(one(5))
    assert worker.place() == 0, "records 0 to 4 may be missing"
    assert worker.stream.sought == [(0, 0)] * 2


async def test_a_batch_that_kafka_does_not_take_ends_it_and_is_not_in_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its producer has numbered and dropped leaves it useless; the next process begins where the table ends."""
    worker = Worker()
    await worker.begin()
    await worker.take(one(0))

    async def refuse(*_: object) -> int:
        raise Unavailable("LeaderNotAvailableError")

    monkeypatch.setattr(worker.processor.partitions.tables[0]._changelog, "append", refuse)
    with pytest.raises(Unavailable):
        await worker.take(one(1))
    assert (worker.place(), worker.stream.committed) == (1, {0: 1})
    assert len(worker.processor.models.by_id[MODEL].sums) == 1


async def test_after_its_end_it_takes_nothing_in() -> None:
    worker = Worker()
    await worker.begin()
    await worker.processor.stop()
    await worker.begin()
    await worker.take(one(0))
    assert worker.place() == 0


async def test_it_is_idle_where_the_group_has_no_partition_for_it() -> None:
    worker = Worker()
    idle = worker.processor.partitions.idle
    assert not idle(), "the group has not said so yet"
    await worker.begin([])
    assert idle()
    await worker.stream.revoke(worker.processor)
    assert not idle()
    await worker.begin([0])
    assert not idle()


async def test_what_is_too_old_for_any_window_is_passed_and_not_kept() -> None:
    worker = Worker()
    await worker.begin()
    await worker.take((0, partials([10_000])))
    assert worker.place() == 1
    assert len(worker.kafka.values(0)) == 1, "the place alone"


async def test_it_has_caught_up_with_what_was_there_when_it_got_its_partitions() -> None:
    worker = Worker()
    caught_up = worker.processor.caught_up
    worker.stream.end = {0: 2}
    assert not await caught_up(), "without a partition"
    await worker.begin()
    assert not await caught_up()
    await worker.take(one(0))
    assert not await caught_up()
    await worker.take(one(1))
    assert await caught_up()
    worker.stream.end = {0: 3}
    assert await caught_up(), "what comes later is no backlog"
    await worker.stream.revoke(worker.processor)
    assert not await caught_up(), "partitions may be going"
    await worker.begin()
    assert not await caught_up(), "another worker may have had it meanwhile"
    await worker.take(one(2))
    assert await caught_up()


async def test_the_end_of_before_a_rebalance_is_not_that_of_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    await worker.begin()

    async def ends(partitions: Iterable[int]) -> dict[int, int]:
        await worker.begin()
        return dict.fromkeys(partitions, 0)

    with monkeypatch.context() as during:
        during.setattr(worker.stream, "ends", ends)
        assert not await worker.processor.caught_up()
    worker.stream.end = {0: 5}
    assert not await worker.processor.caught_up()


async def test_it_has_caught_up_once_the_view_has_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)  # others have a turn between any two steps
    worker = Worker()
    worker.stream.end = {0: 1}
    await worker.begin()
    taking = asyncio.create_task(worker.take((0, partials(range(100)))))
    while not await worker.processor.caught_up():  # noqa: ASYNC110 - at the first moment at which it says so
        await asyncio.sleep(0)
    assert len(worker.processor.models.by_id[MODEL].sums) == 100
    await taking
