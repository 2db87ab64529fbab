"""What is done to the workers and to Kafka: a list of blows, drawn at random from a seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.workers import SESSION_SECONDS, Worker
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

FREEZE_SECONDS = SESSION_SECONDS * 2
CALM_SECONDS = 4.0


@dataclass(slots=True)
class Scenario:
    """The blows, and what has been dealt so far."""

    workers: list[Worker]
    kafka: OwnKafka
    rng: random.Random
    say: Callable[[str], None]
    dealt: Counter[str] = field(default_factory=Counter)

    def blows(self, kills: int) -> list[str]:
        """The names of the blows, in the order in which they fall: at least `kills` of them kill something."""
        always = ["both_processors", "both_combiners", "both_processors", "freeze_processor", "freeze_processor"]
        always += ["freeze_processor", "freeze_combiner", "kill_ingest", "kafka_terminated", "kafka_killed"]
        single = ["kill_one", "kill_one", "terminate_one"]
        blows = always + [self.rng.choice(single) for _ in range(max(0, kills - self._kills_in(always)))]
        self.rng.shuffle(blows)
        return blows

    @staticmethod
    def _kills_in(blows: list[str]) -> int:
        return sum(2 if blow.startswith("both") else 0 if blow.startswith("kafka") else 1 for blow in blows)

    async def deal(self, blow: str) -> None:
        """Deal one blow, and leave a little time, chosen at random."""
        await getattr(self, f"_{blow}")()
        self.dealt[blow] += 1
        await asyncio.sleep(self.rng.random() * CALM_SECONDS)  # where in its work the next one falls is chance

    def _one(self, part: str = "") -> Worker:
        return self.rng.choice([worker for worker in self.workers if worker.name.startswith(part)])

    async def _kill_one(self) -> None:
        await self._kill(self._one())

    async def _kill_ingest(self) -> None:
        await self._kill(self._one("ingest"))

    async def _kill(self, worker: Worker) -> None:
        self.say(f"SIGKILL {worker.name}")
        await worker.end(signal.SIGKILL)

    async def _terminate_one(self) -> None:
        worker = self._one()
        self.say(f"SIGTERM {worker.name}")
        await worker.end(signal.SIGTERM)

    async def _both_processors(self) -> None:
        await self._both("processor")

    async def _both_combiners(self) -> None:
        await self._both("combiner")

    async def _both(self, part: str) -> None:
        self.say(f"SIGKILL both {part}s at once")
        both = [worker for worker in self.workers if worker.name.startswith(part)]
        await asyncio.gather(*(worker.end(signal.SIGKILL) for worker in both))

    async def _freeze_processor(self) -> None:
        await self._freeze("processor")

    async def _freeze_combiner(self) -> None:
        await self._freeze("combiner")

    async def _freeze(self, part: str) -> None:
        """Freeze one for longer than its session; when it wakes, the other, which has taken over, is killed."""
        frozen = self._one(part)
        other = next(each for each in self.workers if each.name.startswith(part) and each is not frozen)
        self.say(f"SIGSTOP {frozen.name} for {FREEZE_SECONDS:.0f} s, then SIGKILL {other.name}")
        await frozen.freeze(FREEZE_SECONDS)
        await asyncio.sleep(self.rng.random() * 0.2)
        await other.end(signal.SIGKILL)

    async def _kafka_terminated(self) -> None:
        await self._kafka(signal.SIGTERM)

    async def _kafka_killed(self) -> None:
        await self._kafka(signal.SIGKILL)

    async def _kafka(self, signum: signal.Signals) -> None:
        pid = self.kafka.pid
        assert pid is not None
        self.say(f"{signum.name} Kafka")
        os.kill(pid, signum)

        async def another() -> bool:
            return self.kafka.pid not in (None, pid)

        await eventually(another, what="Kafka to be started again")
