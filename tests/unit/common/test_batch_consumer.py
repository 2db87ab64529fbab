"""The loop that all consumers share, on the log in memory: schedules of rebalances, faults and ends of processes."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from prometheus_client import REGISTRY

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.topics import DEAD_LETTERS, TOPIC_EPOCHS
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.metrics import CONSUMER_LAG
from sentryml_common.settings import KafkaSettings
from tests.support.memory_consumer import COMMIT_ERRORS, MemoryConsumer
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time

TOPIC, GROUP, KEYS = TOPIC_EPOCHS.name, "group", 6
SETTINGS = KafkaSettings()
MADE_AT = datetime(2026, 11, 23, tzinfo=UTC)
LONG = 600.0
SCHEDULES = 40
"""In each of several batches, so that a run on many cores shares them."""


pytestmark = pytest.mark.usefixtures("quiet")


class World:
    """A topic, a database that may be away, and processes that read one into the other."""

    def __init__(self, seed: int = 0, chances: Chances | None = None, partitions: int = 3) -> None:
        self.log, self.partitions = MemoryLog(seed, chances), partitions
        self.log.create(TOPIC, partitions)
        self.log.create(DEAD_LETTERS.name, 1)
        self.handled: defaultdict[str, list[int]] = defaultdict(list)
        self.written: Counter[str] = Counter()
        self.bad: set[tuple[int, int]] = set()
        self.away = 0.0
        self.longest_handling = 0.1
        self.processes: list[Process] = []

    def write(self, key: str) -> None:
        """The next message of a key, which always goes to the same partition."""
        self.written[key] += 1
        value = encode(TopicEpoch(topic=key, epoch=self.written[key], made_at=MADE_AT))
        self.log.append(TOPIC, value, partition=int(key) % self.partitions)

    def write_bad(self, partition: int) -> None:
        """A record that cannot be read."""
        self.bad.add((partition, self.log.append(TOPIC, b"{", partition=partition)))

    def start(self) -> Process:
        """One more process."""
        self.processes.append(Process(self, len(self.processes)))
        return self.processes[-1]

    async def take(self, messages: list[TopicEpoch]) -> None:
        """Write into the database, one message after the other; it may be away before any of them."""
        rng = self.log.rng
        for message in messages:
            if rng.random() < self.away:
                await asyncio.sleep(rng.random() * self.longest_handling)
                raise Unavailable("PostgreSQL is away")
            self.handled[message.topic].append(message.epoch)
        await asyncio.sleep(rng.random() * self.longest_handling)

    @property
    def lag(self) -> int:
        """Offsets that nobody has committed; those after the last record do not count."""
        lag = 0
        for tp in self.log.partitions_of([TOPIC]):
            known = self.log.group(GROUP).committed.get(tp)
            offsets = [record.offset for record in self.log.partition(tp).records]
            lag += sum(offset >= (0 if known is None else known.offset) for offset in offsets)
        return lag

    async def until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait for a condition, ten minutes at most; the processes must not end."""
        end = asyncio.get_running_loop().time() + LONG
        while not reached():
            self.check()
            assert asyncio.get_running_loop().time() < end, f"waited {LONG:.0f} s for {what}"
            await asyncio.sleep(0.1)

    def check(self) -> None:
        """Fail if a process has ended without being stopped."""
        for process in self.processes:
            if process.task.done() and not process.ends:
                process.task.result()
                raise AssertionError("the loop ended without an error")

    async def stop(self) -> None:
        """Stop all processes."""
        for process in self.processes:
            await process.stop()

    def letters(self) -> Counter[tuple[str, int, int]]:
        """How many dead letters there are by process, partition and offset."""
        letters = [decode(DeadLetter, record.value or b"") for record in self.log.records(DEAD_LETTERS.name)]
        return Counter((letter.service, letter.partition, letter.offset) for letter in letters)


class Process:
    """One life of a service."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.name, self.ends = world, f"process-{number}", False
        self.consumers: list[MemoryConsumer] = []
        self.loop = BatchConsumer(
            TOPIC_EPOCHS, TopicEpoch, GROUP, world.take, DeadLetters(self.name, world.log.publisher()), self._make
        )
        self.health = Health()
        self.health.ready("start")
        self.task = asyncio.create_task(self.loop.run(SETTINGS, self.health))

    @property
    def consumer(self) -> MemoryConsumer:
        """The one it has now."""
        return self.consumers[-1]

    def _make(self, _: KafkaSettings, group: str) -> MemoryConsumer:
        self.consumers.append(self.world.log.consumer(group_id=group, auto_offset_reset="earliest"))
        return self.consumers[-1]

    async def stop(self) -> None:
        """End it in good order."""
        self.ends = True
        self.task.cancel()
        await asyncio.wait([self.task])

    async def kill(self) -> None:
        """End it in the middle of whatever it does."""
        for consumer in self.consumers:
            consumer.kill()
        await self.stop()


def play(world: World, story: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    """Run a story, and end its processes; returns the world for assertions."""

    async def main() -> None:
        try:
            await story(world)
            world.check()
        finally:
            await world.stop()

    run_in_virtual_time(main())
    return world


async def life(world: World) -> None:
    """Writers write, processes come and go, the database is away now and then; then all becomes calm."""
    log, rng = world.log, world.log.rng
    world.start()
    world.start()
    await asyncio.sleep(1)
    for _ in range(30):
        for _ in range(rng.randint(0, 10)):
            world.write(str(rng.randrange(KEYS)))
        if rng.random() < 0.4:
            world.write_bad(rng.randrange(world.partitions))
        if rng.random() < 0.2:
            log.skip(TOPIC, rng.randrange(world.partitions), rng.randint(1, 3))
        world.away, world.longest_handling = rng.choice((0.0, 0.0, 0.1, 1.0)), rng.choice((0.1, 1.0, 20.0))
        alive = [process for process in world.processes if not process.ends]
        match rng.randrange(8):
            case 0 if len(alive) < 4:
                world.start()
                await asyncio.sleep(1)
            case 1 if alive:
                await rng.choice(alive).kill()
            case 2 if alive:
                await rng.choice(alive).stop()
            case 3 if alive:
                rng.choice(alive).consumer.expel()
        await asyncio.sleep(rng.random() * 20)
        world.check()
    log.chances, world.away, world.longest_handling = Chances(), 0.0, 0.1
    world.start()
    await world.until(lambda: world.lag == 0, "all to be handled and committed")


def test_a_consumer_says_for_how_long_it_has_not_worked() -> None:
    async def story(world: World) -> None:
        loop = world.start().loop
        assert loop.idle_seconds() == math.inf
        await asyncio.sleep(60)
        assert loop.idle_seconds() < 1, "it reads, though there is nothing"
        world.away = 1.0
        world.write("1")
        await asyncio.sleep(60)
        assert loop.idle_seconds() > 50
        world.away = 0.0
        await world.until(lambda: world.lag == 0, "it to be handled")
        await asyncio.sleep(5)
        assert loop.idle_seconds() < 1

    play(World(), story)


FAULTS = Chances(rebalance=0.02, commit=0.1, getmany=0.01, short_read=0.3)


@pytest.mark.parametrize("batch", range(5))
def test_whatever_happens_each_key_is_handled_in_order_and_nothing_is_skipped(batch: int) -> None:
    for seed in range(batch * SCHEDULES, (batch + 1) * SCHEDULES):
        world = play(World(seed, FAULTS), life)
        for key, handled in world.handled.items():
            assert list(dict.fromkeys(handled)) == list(range(1, world.written[key] + 1)), f"seed {seed}, key {key}"
        assert world.handled.keys() == world.written.keys(), f"seed {seed}"
        letters = world.letters()
        assert {(partition, offset) for _, partition, offset in letters} == world.bad, f"seed {seed}"
        assert set(letters.values()) <= {1}, f"seed {seed}: each process tells of a bad record once"


def test_no_dead_letter_is_lost_however_often_kafka_refuses_them() -> None:
    for seed in range(SCHEDULES):
        world = play(World(seed, replace(FAULTS, publish=0.3)), life)
        assert {(partition, offset) for _, partition, offset in world.letters()} == world.bad, f"seed {seed}"


async def take_over_from(process: Process) -> MemoryConsumer:
    """Another member takes over the one partition that there is; the process has nothing until that leaves again."""
    world = process.world
    process.consumer.expel()
    other = world.log.consumer(TOPIC, group_id=GROUP, auto_offset_reset="earliest")
    await other.start()
    await world.until(lambda: not process.consumer.assignment(), "the process to have nothing")
    return other


def test_who_loses_all_partitions_while_it_handles_a_batch_goes_on() -> None:
    world = World(partitions=1)

    async def story(world: World) -> None:
        process, handle = world.start(), world.take
        others: list[MemoryConsumer] = []

        async def slow(messages: list[TopicEpoch]) -> None:
            if not others:
                others.append(await take_over_from(process))
            await handle(messages)

        process.loop._handle = slow
        world.write("0")
        await world.until(lambda: world.handled["0"] == [1], "the first handling")
        assert world.lag == 1, "it does not commit what another has now"
        await others[0].stop()
        await world.until(lambda: world.lag == 0, "what the other has not handled")
        assert world.handled["0"] == [1, 1]

    play(world, story)


def test_a_bad_record_is_dead_lettered_once_however_long_the_database_is_away() -> None:
    world = World(partitions=1)

    async def story(world: World) -> None:
        world.start()
        world.away = 1.0
        world.write("0")
        world.write_bad(0)
        world.write("0")
        await asyncio.sleep(LONG)
        assert world.letters() == {("process-0", 0, 1): 1}, "it can be seen while the database is away"
        world.away = 0.0
        await world.until(lambda: world.lag == 0, "all to be committed")

    assert set(play(world, story).letters().values()) == {1}


def test_a_bad_record_is_counted_when_kafka_has_its_dead_letter() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("sentryml_dead_letters_total", {"topic": TOPIC, "reason": "not_json"}) or 0.0

    world, before = World(partitions=1), counted()

    async def story(world: World) -> None:
        for _ in range(5):
            world.log.fail_next("publish", KafkaConnectionError())
        world.start()
        world.write_bad(0)
        await world.until(lambda: world.lag == 0, "all to be committed")

    play(world, story)
    assert counted() == before + 1


def lag_series() -> dict[str, float]:
    """What is shown, by partition."""
    samples = [sample for metric in CONSUMER_LAG.collect() for sample in metric.samples]
    return {sample.labels["partition"]: sample.value for sample in samples if sample.labels["topic"] == TOPIC}


def test_the_lag_of_partitions_that_went_to_another_is_no_longer_shown() -> None:
    async def story(world: World) -> None:
        process = world.start()
        for key in ("0", "1", "2"):
            world.write(key)
        await world.until(lambda: world.lag == 0, "all to be committed")
        assert lag_series() == {"0": 0.0, "1": 0.0, "2": 0.0}
        world.away = 1.0
        for key in ("0", "1", "2") * 10:
            world.write(key)
        await world.until(lambda: lag_series() == {"0": 10.0, "1": 10.0, "2": 10.0}, "the lag to be shown")
        other = world.log.consumer(TOPIC, group_id=GROUP)
        await other.start()
        await asyncio.sleep(60)
        assert lag_series() == {str(tp.partition): 10.0 for tp in process.consumer.assignment()}
        assert len(lag_series()) in (1, 2)
        await other.stop()
        await world.until(lambda: len(lag_series()) == 3, "the lag to be shown again")

    play(World(), story)
    assert lag_series() == {}, "nor that of a process that stopped"


@pytest.mark.parametrize("error", [*COMMIT_ERRORS, IllegalStateError, TopicAuthorizationFailedError])
def test_no_error_of_a_commit_ends_the_loop(error: type[KafkaError]) -> None:
    async def story(world: World) -> None:
        process = world.start()
        world.log.fail_next("commit", error())
        world.write("0")
        await world.until(lambda: world.handled["0"] == [1], "the first message")
        world.write("0")
        await world.until(lambda: world.lag == 0, "all to be committed")
        assert len(process.consumers) == 1

    assert play(World(), story).handled["0"] == [1, 2]


@pytest.mark.parametrize("error", [KafkaError, TopicAuthorizationFailedError, CorruptRecordException])
def test_a_consumer_that_fails_is_replaced_and_readyz_says_why(error: type[KafkaError]) -> None:
    async def story(world: World) -> None:
        process = world.start()
        world.write("0")
        await world.until(lambda: world.lag == 0, "the first message")
        world.log.fail_next("getmany", error("no luck"))
        await world.until(lambda: TOPIC in process.health.waiting_for, "/readyz to say so")
        assert "no luck" in process.health.waiting_for[TOPIC]
        world.write("0")
        await world.until(lambda: world.lag == 0, "the second message")
        assert process.health.waiting_for == {}

    assert play(World(), story).handled["0"] == [1, 2]
