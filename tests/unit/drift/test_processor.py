"""What a worker takes in, holds and writes to while partitions come and go, and whatever its input brings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import Publisher
from sentryml_drift import event_loop_slices
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack, partition_of
from sentryml_drift.processor.housekeeping import Housekeeping
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import kind_and_number, read_counts
from sentryml_drift.processor.retention import Retention
from sentryml_drift.state.partition_writer import FencedOff
from sentryml_drift.state.table import PLACE, Place, key_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from tests.support.memory_table import MemoryChangelogs
from tests.support.scripted_input import ScriptedInput

NOW = datetime(2026, 11, 23, 12, 20, 30, tzinfo=UTC)
GRID = PaneGrid(60.0)
HOUR = GRID.pane_of(NOW.timestamp(), Resolution.COARSE)
SEEN = ChunkedSum((ModelFacts(late=1).pack(),)).pack()
ONE_EVENT = PaneCounts.of(["late"], [0.5]).pack()


def models_of(partition: int) -> Iterable[str]:
    names = map("model-{}".format, count())
    return (name for name in names if partition_of(name, HISTOGRAMS.partitions) == partition)


MODELS = [next(iter(models_of(partition))) for partition in range(2)]
MODEL = MODELS[0]


@dataclass
class Worker:
    """A processor, its input, and the Kafka it writes to."""

    kafka: MemoryChangelogs = field(default_factory=MemoryChangelogs)
    stream: ScriptedInput = field(default_factory=ScriptedInput)
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        self.retention = Retention(GRID, lambda _: None, lambda: NOW)
        letters = DeadLetters("drift-processor", Publisher(cast(AIOKafkaProducer, None)), lambda: NOW)
        self.processor = Processor(self.stream, self.kafka.open_table, letters, self.retention, self.health)
        self.housekeeping = Housekeeping(self.processor, self.retention)

    async def begin(self, partitions: Iterable[int] = (0,)) -> None:
        """Join the group, and hold these partitions."""
        await self.stream.give(self.processor, partitions)
        await self.processor.partitions.held()

    async def take(self, *records: tuple[int, bytes | None]) -> None:
        """Take in records by their offset, as one batch."""
        await self.processor.take([self.stream.record(value, offset) for offset, value in records])

    def counted(self, model_id: str = MODEL) -> int:
        """How many events of a model the table in Kafka holds in coarse panes."""
        table = self.kafka.values(0)
        keys = (key_of(Target(model_id, Kind.COARSE, HOUR - age)) for age in range(1000))
        return sum(read_counts(table[key]).total for key in keys if key in table)

    def place(self) -> int:
        """The place in the input that the table in Kafka holds."""
        return Place.read(self.kafka.values(0).get(PLACE), 1).next_offset


def partials(numbers: Iterable[int], payload: bytes = ONE_EVENT) -> bytes:
    """A record of partials, each of another pane."""
    made = (
        Partial(Target(MODEL, Kind.COARSE, HOUR - 10 - n), Label(0, 1, 0, n, final=False), payload) for n in numbers
    )
    return b"\x01" + b"".join(map(pack, made))


def one(offset: int) -> tuple[int, bytes]:
    """A record of one event in a pane of its own, by its offset."""
    return offset, partials([offset])


async def a_table(kafka: MemoryChangelogs, partition: int, values: int) -> None:
    """A table with one model, as an earlier owner has left it."""
    table = await kafka.open_table(partition)
    pane = ChunkedSum((ONE_EVENT,)).pack()
    model_id = MODELS[partition]
    coarse = [(Target(model_id, Kind.COARSE, HOUR - age), pane) for age in range(values - 1)]
    await table.write(table.place, [(Target(model_id, Kind.FACTS, 0), SEEN), *coarse])
    await table.close()


def pausing_at(gate: asyncio.Event, after: int) -> Callable[[], Awaitable[None]]:
    """Pauses that are short, until there have been some; then only as the gate opens."""
    numbers = count(1)

    async def pause() -> None:
        await asyncio.sleep(0)
        if next(numbers) > after:
            await gate.wait()

    return pause


async def turns(number: int) -> None:
    """Let all others have some turns."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_nothing_is_missing_whatever_comes_before_what_was_sought() -> None:
    """After a seek, what was on its way comes first: batches of it, then what is missing, then all of it again."""
    worker = Worker()
    await worker.begin()
    await worker.take(*map(one, range(3)))
    for first in (10, 14, 18):
        await worker.take(*map(one, range(first, first + 4)))
    assert worker.place() == 3, "no record was skipped"
    assert worker.stream.sought == [(0, 3)] * 3, "once for each batch"
    await worker.take(*map(one, range(18, 20)), *map(one, range(3, 12)))
    await worker.take(*map(one, range(12, 22)))
    assert (worker.place(), worker.counted()) == (22, 22)


async def test_offsets_that_no_record_has_are_passed() -> None:
    worker = Worker()
    await worker.begin()
    await worker.take(one(0))
    await worker.take(one(5), one(6))
    assert worker.place() == 1, "records 1 to 4 may be missing"
    worker.stream.first[0] = 1
    with capture_logs() as logs:
        await worker.take(one(5), one(6))
    assert (worker.place(), worker.counted()) == (7, 3)
    assert not [line for line in logs if line["event"] == "input_lost_to_retention"]


async def test_what_retention_has_removed_is_passed() -> None:
    worker = Worker()
    await worker.begin()
    worker.stream.first[0] = 5
    await worker.take(one(8))
    assert worker.stream.sought == [(0, 5)]
    await worker.take(one(5), one(6))
    assert (worker.place(), worker.counted()) == (7, 2)


BAD = {
    "no value": None,
    "not a record": b"\x07",
    "a third partial that cannot be read": partials([1, 2]) + partials([3], b"damaged")[1:] + partials([4])[1:],
    "a partial of an old pane that cannot be read": partials([1, 10_000], b"damaged"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_record_that_cannot_be_read_is_dead_lettered_whole(bad: bytes | None) -> None:
    worker = Worker()
    await worker.begin()
    await worker.take(one(0), (1, bad), one(2))
    assert (worker.place(), worker.counted()) == (3, 2), "nothing of it is counted, and all else is"
    (letter,) = worker.kafka.published
    assert letter.topic == DEAD_LETTERS.name
    found = decode(DeadLetter, letter.value or b"")
    assert (found.topic, found.partition, found.offset) == (HISTOGRAMS.name, 0, 1)


async def test_a_revocation_waits_for_the_batch_in_flight() -> None:
    """The next owner need not read it again, and shuts nobody out who is still writing."""
    worker, gate = Worker(), asyncio.Event()
    await worker.begin()
    slow = await worker.kafka.open_table(0, pausing_at(gate, after=2))
    worker.processor.partitions.tables[0] = slow
    taking = asyncio.create_task(worker.take(one(0)))
    await turns(20)
    revoking = asyncio.create_task(worker.stream.revoke(worker.processor))
    await turns(20)
    assert not revoking.done()
    gate.set()
    await revoking
    assert (worker.place(), worker.counted()) == (1, 1)
    await taking


async def revoked_at_once(worker: Worker) -> None:
    """The group begins to share out partitions, and nothing that takes long is waited for."""
    revoking = asyncio.create_task(worker.stream.revoke(worker.processor))
    await turns(20)
    assert revoking.done()


async def test_a_revocation_does_not_wait_for_a_recovery() -> None:
    worker, gate = Worker(), asyncio.Event()
    await a_table(worker.kafka, partition=0, values=50)
    taken_over = dict(worker.kafka.taken_over)
    worker.kafka.pause = pausing_at(gate, after=2)  # the table is taken over, and recovery is paused
    await worker.stream.give(worker.processor, [0])
    await turns(20)
    assert worker.kafka.open == [0]
    await revoked_at_once(worker)
    await worker.stream.give(worker.processor, [0])
    gate.set()
    await worker.processor.partitions.held()
    assert worker.processor.holds_all()
    assert worker.kafka.taken_over[0] == taken_over[0] + 1, "the recovery has gone on"
    assert len(worker.processor.models.by_id[MODEL].sums) == 50


async def test_a_recovery_that_ends_while_partitions_may_be_going_is_followed_by_no_other() -> None:
    worker, gate = Worker(), asyncio.Event()
    await a_table(worker.kafka, partition=0, values=50)
    worker.kafka.pause = pausing_at(gate, after=2)
    await worker.stream.give(worker.processor, [0, 1])
    await turns(20)
    await revoked_at_once(worker)
    gate.set()
    await turns(50)
    assert worker.processor.partitions.tables.keys() == {0}
    assert worker.kafka.open == [0]
    await worker.stream.give(worker.processor, [0, 1])
    await worker.processor.partitions.held()
    assert worker.kafka.open == [0, 1]


async def test_a_recovery_is_given_up_where_another_worker_gets_the_partition() -> None:
    worker, gate = Worker(), asyncio.Event()
    await a_table(worker.kafka, partition=0, values=50)
    worker.kafka.pause = pausing_at(gate, after=2)
    await worker.stream.give(worker.processor, [0])
    await turns(20)
    assert worker.kafka.open == [0]
    await revoked_at_once(worker)
    gate.set()
    await worker.stream.give(worker.processor, [1])
    await worker.processor.partitions.held()
    assert worker.kafka.open == [1], "the table that was being read is closed"
    assert worker.processor.models.by_id == {}
    assert not any("partition" in what for what in worker.health.waiting_for)


@pytest.mark.parametrize(("pauses", "held"), [(0, []), (2, [0])], ids=["the first", "the second of two"])
async def test_nothing_is_taken_over_once_partitions_may_be_going(pauses: int, held: list[int]) -> None:
    """A worker that takes over late would shut out the next owner."""
    worker, gate = Worker(), asyncio.Event()
    worker.kafka.pause = pausing_at(gate, after=pauses)
    await worker.stream.give(worker.processor, [0, 1])
    await turns(20)
    await worker.stream.revoke(worker.processor)
    gate.set()
    await turns(20)
    assert worker.kafka.taken_over == dict.fromkeys(held, 1)
    assert worker.kafka.open == held


async def test_who_gives_up_taking_over_waits_for_kafka_no_longer() -> None:
    worker = Worker()

    async def never() -> None:
        worker.health.waiting("kafka", "it does not answer")
        await asyncio.Event().wait()

    worker.kafka.pause = never
    await worker.stream.give(worker.processor, [0])
    await turns(20)
    assert "kafka" in worker.health.waiting_for
    await worker.stream.revoke(worker.processor)
    assert "kafka" not in worker.health.waiting_for


async def test_a_partition_that_comes_back_is_taken_over_once_it_was_closed() -> None:
    """Its local copy has one user at a time."""
    worker, gate = Worker(), asyncio.Event()
    await worker.begin()
    worker.processor.partitions.tables[0] = await worker.kafka.open_table(0, pausing_at(gate, after=2))
    taken_over = worker.kafka.taken_over[0]
    await worker.stream.give(worker.processor, [])
    await worker.stream.give(worker.processor, [0])
    await turns(50)
    assert worker.kafka.taken_over[0] == taken_over
    gate.set()
    await worker.processor.partitions.held()
    assert worker.kafka.taken_over[0] == taken_over + 1


async def test_a_worker_that_the_group_no_longer_knows_takes_nothing_over() -> None:
    worker = Worker()
    worker.stream.member = False
    await worker.stream.give(worker.processor, [0])
    await turns(50)
    assert worker.kafka.taken_over == {}
    assert not worker.processor.holds_all()
    await worker.stream.revoke(worker.processor)


@pytest.mark.parametrize("moment", ["reassigned", "rebalancing"])
async def test_nothing_is_written_to_a_partition_that_has_gone_or_may_be_going(moment: str) -> None:
    worker = Worker()
    for partition in range(2):
        await a_table(worker.kafka, partition, values=1)
    await worker.begin([0, 1])
    assert sorted(worker.processor.models.by_id) == sorted(MODELS)
    before = {partition: len(worker.kafka.changes[partition]) for partition in range(2)}
    if moment == "reassigned":
        await worker.stream.give(worker.processor, [0])
        assert worker.processor.models.by_id.keys() == {MODEL}, "nor is the other one's model in the view"
    else:
        worker.stream.rebalancing = True

    gone = await worker.housekeeping.forget(dict.fromkeys(MODELS, NOW.timestamp()))
    await worker.processor.publish(1, [], evaluated_until=NOW.timestamp())
    await worker.take(one(0))

    mine = {0} if moment == "reassigned" else set()
    assert gone == len(mine)
    assert {p for p in range(2) if len(worker.kafka.changes[p]) > before[p]} == mine


async def test_who_was_shut_out_ends() -> None:
    worker, next_owner = Worker(), Worker()
    next_owner.kafka = worker.kafka
    await worker.begin()
    await worker.take(one(0))
    await worker.kafka.open_table(0)
    with pytest.raises(FencedOff):
        await worker.take(one(1))
    assert worker.place() == 1


async def test_panes_that_no_window_reaches_are_purged_and_others_stay() -> None:
    worker = Worker()
    await a_table(worker.kafka, partition=0, values=300)
    await worker.begin()
    sums = worker.processor.models.by_id[MODEL].sums
    kept = {pane for pane in sums if not worker.retention.expired(Target(MODEL, *kind_and_number(pane)))}
    assert 0 < len(kept) < 300
    assert await worker.housekeeping.purge() == 300 - len(kept)
    assert set(sums) == kept
    assert len(worker.kafka.values(0)) == len(kept) + 1, "and the place"
    assert await worker.housekeeping.purge() == 0


MANY = 200


async def a_long_purge(worker: Worker) -> None:
    assert await worker.housekeeping.purge() > 0


async def a_long_recovery(worker: Worker) -> None:
    await worker.stream.give(worker.processor, [])
    await worker.begin()


async def a_large_record(worker: Worker) -> None:
    await worker.take((0, partials(range(MANY))))
    assert worker.place() == 1


@pytest.mark.parametrize(("work", "least"), [(a_long_purge, 100), (a_long_recovery, 300), (a_large_record, 3 * MANY)])
async def test_long_work_gives_others_their_turn(
    work: Callable[[Worker], Awaitable[None]], least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    await a_table(worker.kafka, partition=0, values=300)
    await worker.begin()
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)
    of_another = 0

    async def another() -> None:
        nonlocal of_another
        while True:
            of_another += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await work(worker)
    task.cancel()
    assert of_another > least
