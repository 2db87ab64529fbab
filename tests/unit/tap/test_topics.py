"""Reading foreign topics, on the log in memory: whatever ends when, each record is counted once by an ingest that knows
its keys."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_tap import topics
from sentryml_tap.domain.reading import Fault, TappedEvent
from sentryml_tap.settings import TapSettings
from tests.support.memory_consumer import MemoryConsumer
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time

TOPIC, PARTITIONS, SCHEDULES = "foreign", 3, 15
FAULTS = Chances(rebalance=0.02, commit=0.1, getmany=0.01, short_read=0.3)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged: many schedules log a lot."""
    with capture_logs() as found:
        yield found


class Ingest:
    """Takes events; of a key only the first time. It may be away before or after it has."""

    def __init__(self, log: MemoryLog) -> None:
        self.log, self.away, self.pause = log, 0.0, 0.1
        self.by_key: dict[str, list[int]] = {}

    async def send(self, source: str, events: Sequence[TappedEvent], key: str) -> list[Fault]:
        rng, numbers = self.log.rng, [int(orjson.loads(event.json)["prediction"]) for event in events]
        await asyncio.sleep(rng.random() * self.pause)
        if rng.random() < self.away:
            raise Unavailable("away")
        assert self.by_key.setdefault(key, numbers) == numbers, "the same key, but other events"
        await asyncio.sleep(rng.random() * self.pause)
        if rng.random() < self.away:
            raise Unavailable("the answer got lost")
        return []

    async def back(self, seconds: float) -> None:
        await asyncio.sleep(self.log.rng.random() * seconds)

    @property
    def counted(self) -> Counter[int]:
        """How often each prediction was counted."""
        return Counter(number for numbers in self.by_key.values() for number in numbers)


@dataclass(slots=True)
class Tap:
    """One life of a tap, and the consumers that it has had."""

    task: asyncio.Task[None]
    consumers: list[MemoryConsumer] = field(default_factory=list)


class World:
    """A topic, an ingest, and taps that read one into the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int = 0, chances: Chances | None = None) -> None:
        self.log = MemoryLog(seed, chances)
        self.log.create(TOPIC, PARTITIONS)
        self.ingest, self.written = Ingest(self.log), 0
        self.taps: list[Tap] = []
        self.settings = TapSettings(tap_api_key="sml_key", tap_topics=f"{TOPIC} model_id=m prediction=/p")

        async def committed(group: str, *_: Any) -> dict[TopicPartition, Any]:
            await asyncio.sleep(self.log.rng.random())
            return dict(self.log.group(group).committed)

        monkeypatch.setattr(topics, "committed_offsets", committed)
        monkeypatch.setattr(topics, "make_consumer", self._make)

    def write(self, partition: int) -> None:
        """The next prediction."""
        self.log.append(TOPIC, orjson.dumps({"p": self.written}), partition=partition)
        self.written += 1

    def start(self) -> None:
        """One more tap."""
        reader = topics.TopicReader(self.settings, self.ingest, Health())  # type: ignore[arg-type]
        self.taps.append(Tap(asyncio.create_task(reader.run())))

    def _make(self, _: Any, group: str) -> MemoryConsumer:
        [tap] = [tap for tap in self.taps if tap.task is asyncio.current_task()]
        tap.consumers.append(self.log.consumer(group_id=group, auto_offset_reset="earliest"))
        return tap.consumers[-1]

    @property
    def lag(self) -> int:
        """Records that nobody has committed."""
        committed = self.log.group(self.settings.tap_group).committed
        return sum(
            record.offset >= committed[tp].offset if tp in committed else True
            for tp in self.log.partitions_of([TOPIC])
            for record in self.log.partition(tp).records
        )

    async def until_done(self) -> None:
        """Wait until all is committed, ten minutes at most."""
        for _ in range(6_000):
            if self.lag == 0:
                return
            for tap in self.taps:
                if tap.task.done():
                    tap.task.result()
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.lag} records are left")

    async def end(self, number: int, kill: bool) -> None:
        """End a tap, in order or in the middle of whatever it does."""
        tap = self.taps[number]
        for consumer in tap.consumers if kill else ():
            consumer.kill()
        tap.task.cancel()
        await asyncio.wait([tap.task])
        self.taps.remove(tap)


def play(world: World, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        try:
            await story()
        finally:
            while world.taps:
                await world.end(0, kill=False)

    run_in_virtual_time(main())


@pytest.mark.parametrize("batch", range(2))
def test_whatever_happens_each_record_is_counted_once(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(batch * SCHEDULES, (batch + 1) * SCHEDULES):
        world = World(monkeypatch, seed, FAULTS)
        rng = world.log.rng

        async def life(world: World = world, rng: Any = rng) -> None:
            world.start()
            for _ in range(20):
                for _ in range(rng.randint(0, 20)):
                    world.write(rng.randrange(PARTITIONS))
                world.ingest.away, world.ingest.pause = rng.choice((0.0, 0.2, 0.9)), rng.choice((0.1, 1.0, 20.0))
                match rng.randrange(6):
                    case 0 if len(world.taps) < 3:
                        world.start()
                    case 1 | 2 if world.taps:
                        await world.end(rng.randrange(len(world.taps)), kill=rng.random() < 0.7)
                    case 3 if world.taps and world.taps[-1].consumers:
                        world.taps[-1].consumers[-1].expel()
                await asyncio.sleep(rng.random() * 30)
            world.log.chances, world.ingest.away, world.ingest.pause = Chances(), 0.0, 0.1
            world.start()
            await world.until_done()

        play(world, life)
        assert world.ingest.counted == Counter(range(world.written)), f"seed {seed}"


def test_what_cannot_be_read_is_logged_by_its_place_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    world = World(monkeypatch)
    for value in (b"secret", None, b'{"p": 1}', b'{"q": "secret"}', b'{"r": "secret"}'):
        world.log.append(TOPIC, value, partition=1)

    async def story() -> None:
        world.start()
        await world.until_done()

    play(world, story)
    assert world.ingest.counted == Counter([1])
    dropped = [line for line in logs if line["event"] == "records_dropped"]
    assert [(line["partition"], line["offset"], line["count"], line["reason"]) for line in dropped] == [
        (1, 0, 1, "not_json"),
        (1, 3, 2, "missing_field"),
    ]
    assert "secret" not in str(logs)
