"""How fast the processor takes in partials of panes that it does not know yet, as a backfill brings them.

    python -m bench.drift.new_panes

The real processor, with its local copy, reads records that wait in Kafka: one event of each pane.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from aiokafka import AIOKafkaProducer

from bench.drift.workers import metric_of
from bench.report import Figure, cpu_of, say
from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_drift.domain.partials import Kind, Label, Partial, Target, pack_records
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from tests.support.own_kafka import OwnKafka, own_kafka
from tests.support.ports import free_port

MODELS, PARTIALS = 1_000, 200_000
GRID = PaneGrid(60.0)
APPLIED = 'sentryml_drift_partials_applied_total{outcome="applied"}'


def partials(now: float) -> Iterator[Partial]:
    """Each of another pane, of one event."""
    counts = [PaneCounts.of(["late" if n % 3 else "on time"], [n / 1000]).pack() for n in range(1000)]
    newest = GRID.pane_of(now, Resolution.COARSE)
    for number in range(PARTIALS):
        target = Target(f"model-{number % MODELS}", Kind.COARSE, newest - number // MODELS % 190)
        target = (
            target if number < 190 * MODELS else target._replace(kind=Kind.FINE, pane=newest * 60 + number // MODELS)
        )
        yield Partial(target, Label(0, 1, 0, number, final=False), counts[number % 1000])


async def fill(kafka: OwnKafka) -> None:
    """Write the records."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=2_000_000) as producer:
        for partition, record in pack_records(partials(time.time()), HISTOGRAMS.partitions):
            await producer.send(HISTOGRAMS.name, record, partition=partition)


@contextmanager
def a_processor(kafka: OwnKafka, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A running one: its address and process."""
    port = free_port()
    settings = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "HTTP_PORT": str(port), "STATE_DIR": str(folder / "state")}
    environment = os.environ | {f"SENTRYML_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "sentryml_drift", "processor"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


async def measure() -> list[Figure]:
    """Partials a second of wall and of processor time, and memory."""
    with TemporaryDirectory() as folder, own_kafka() as kafka:
        await ensure_topics(kafka.settings, Health())
        await fill(kafka)
        with a_processor(kafka, Path(folder)) as (url, process):
            return await _measured(url, process)


async def _measured(url: str, process: psutil.Process) -> list[Figure]:
    first, begun, cpu, memory = 0.0, 0.0, 0.0, 0
    while (now := await metric_of(url, APPLIED) or 0.0) < PARTIALS:
        if not first and now:
            first, begun, cpu = now, time.monotonic(), cpu_of(process)
        if not now:
            memory = process.memory_info().rss
        await asyncio.sleep(0.05)
    rate = (PARTIALS - first) / (time.monotonic() - begun)
    of_cpu = (PARTIALS - first) / (cpu_of(process) - cpu)
    each = (process.memory_info().rss - memory) / PARTIALS
    say(f"new panes: {rate:,.0f} a second, {of_cpu:,.0f} a second of CPU time; {each:,.0f} bytes of memory each")
    return [
        Figure("processor: partials/s of new panes, durable", rate),
        Figure("processor: partials of new panes per CPU second", of_cpu),
        Figure("processor: bytes of memory of a new pane", each),
    ]


if __name__ == "__main__":
    asyncio.run(measure())
