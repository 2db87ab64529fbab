"""How long the processor holds up its event loop at most, step by step, with very many models.

    python -m bench.drift.loop

The table's changelog is in memory, so that only the processor's own work counts. While the loop is held, no request is
answered and no partition can be given up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

from aiokafka import AIOKafkaProducer

from bench.report import Figure, say
from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import Publisher
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import RECORD_BYTES_MAX, Kind, Label, Partial, Target, pack, partition_of
from sentryml_drift.processor.housekeeping import Housekeeping
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.retention import Retention
from sentryml_drift.state.table import key_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import FINE_PANES_KEPT, PaneGrid, Resolution
from tests.support.memory_table import MemoryChangelogs
from tests.support.scripted_input import ScriptedInput

MODELS, COARSE_PANES = 10_000, 80
GRID = PaneGrid(60.0)
PARTITIONS = range(HISTOGRAMS.partitions)
ONE_EVENT = PaneCounts.of(["late"], [0.5]).pack()


class Meter:
    """The longest time between two turns of a task that is always ready: CPU time, so that other programs do not
    count."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now

    async def of(self, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
        """CPU seconds that `work` takes, and CPU seconds that it holds the loop at most."""
        await asyncio.sleep(0)
        self.longest, begun = 0.0, time.thread_time()
        await work()
        await asyncio.sleep(0)
        return time.thread_time() - begun, self.longest


def a_table(partition: int, now: float) -> Iterator[tuple[bytes, bytes]]:
    """All panes of the models of a partition; the oldest fine panes have just expired."""
    facts = ChunkedSum((ModelFacts(now - 9e5, now).pack(),)).pack()
    pane = ChunkedSum((ONE_EVENT,)).pack()
    coarse, fine = GRID.pane_of(now, Resolution.COARSE), GRID.pane_of(now, Resolution.FINE)
    for model_id in filter(lambda name: partition_of(name, len(PARTITIONS)) == partition, _names()):
        yield key_of(Target(model_id, Kind.FACTS, 0)), facts
        for age in range(COARSE_PANES):
            yield key_of(Target(model_id, Kind.COARSE, coarse - age)), pane
        for age in range(FINE_PANES_KEPT):
            yield key_of(Target(model_id, Kind.FINE, fine - 2 - age)), pane


def _names() -> Iterator[str]:
    return (f"model-{number}" for number in range(MODELS))


def a_full_record(now: float) -> bytes:
    """As many partials of new panes as a record holds."""
    record, pane = bytearray(b"\x01"), GRID.pane_of(now, Resolution.COARSE)
    names = [name for name in _names() if partition_of(name, len(PARTITIONS)) == 0]
    number = 0
    while len(record) < RECORD_BYTES_MAX - 100:
        target = Target(names[number % len(names)], Kind.COARSE, pane - COARSE_PANES - number // len(names))
        record += pack(Partial(target, Label(0, 1, 0, number, final=False), ONE_EVENT))
        number += 1
    return bytes(record)


async def measure() -> list[Figure]:
    """The longest hold of each kind of step."""
    now, kafka, stream = time.time(), MemoryChangelogs(), ScriptedInput()
    for partition in PARTITIONS:
        kafka.changes[partition] += a_table(partition, now)
    retention = Retention(GRID, lambda _: None)
    letters = DeadLetters("bench", Publisher(cast(AIOKafkaProducer, None)))
    processor = Processor(stream, kafka.open_table, letters, retention, Health())
    housekeeping = Housekeeping(processor, retention)
    record, meter, figures = a_full_record(now), Meter(), []

    async def recover() -> None:
        await stream.give(processor, PARTITIONS)
        await processor.partitions.held()

    async def forget() -> None:
        await housekeeping.forget(dict.fromkeys(list(_names())[:100], now + 1))

    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "recovery": recover,
        "purge": housekeeping.purge,
        "a batch of two full records": lambda: processor.take([stream.record(record, 0), stream.record(record, 1)]),
        "100 models forgotten": forget,
    }
    metering = asyncio.create_task(meter.run())
    for name, work in steps.items():
        seconds, longest = await meter.of(work)
        say(f"{name}: {seconds:.2f} s, the loop held for {longest * 1000:.0f} ms at most")
        figures.append(Figure(f"{MODELS:,} models, {name}: ms the loop is held at most", longest * 1000))
    metering.cancel()
    return figures


if __name__ == "__main__":
    asyncio.run(measure())
