"""Combiner and processor as processes of their own, on a Kafka of this folder's own: their topics have fixed names.

Tests share the Kafka and its topics, so each uses models of its own and expects records of others.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_statistics.time.panes import PaneGrid
from tests.support import impatient_kafka
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.http_client import http_client
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics
from tests.support.ports import free_port
from tests.support.processes import Process

FINE_SECONDS = 60.0
GRID = PaneGrid(FINE_SECONDS)
SETTINGS = {
    "fine_pane_seconds": FINE_SECONDS,
    "emit_seconds": 0.2,
    "batch_seconds": 0.2,
    "activity_seconds": 0.5,
    "allowed_lateness_seconds": 0.5,
    "session_timeout_seconds": impatient_kafka.SESSION_SECONDS,
}


@pytest.fixture(scope="session")
async def kafka() -> AsyncIterator[OwnKafka]:
    """A Kafka with the topics of the registry."""
    async with own_kafka_with_topics() as own:
        yield own


@pytest.fixture
def model_id() -> str:
    return f"model-{token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Part:
    """A running combiner or processor."""

    process: Process
    url: str
    log: Path

    async def until_ready(self) -> None:
        """Wait until `/readyz` says so."""

        async def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                async with http_client() as client:
                    return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, what=f"it to be ready ({self.log})")

    async def end(self, signum: signal.Signals) -> int:
        """Its exit code."""
        self.process.send_signal(signum)
        return await asyncio.to_thread(self.process.wait, LONG_SECONDS)


StartPart = Callable[..., Part]


@pytest.fixture
def start(kafka: OwnKafka, tmp_path: Path) -> Iterator[StartPart]:
    """Start the combiner or the processor, with other settings by their names without the prefix; `soon` makes its
    consumers notice soon what changes in Kafka."""
    started: list[Process] = []

    def start_part(part: str, *, soon: bool = False, **changes: object) -> Part:
        port, log = free_port(), tmp_path / f"{part}-{len(started)}.log"
        settings = {**SETTINGS, "kafka_bootstrap": kafka.bootstrap, "http_port": port, **changes}
        environment = {f"SENTRYML_{name.upper()}": str(value) for name, value in settings.items()}
        command = (*([impatient_kafka.__name__] if soon else []), "sentryml_drift", part)
        started.append(Process(*command, environment=environment, log=log, folder=tmp_path))
        return Part(started[-1], f"http://127.0.0.1:{port}", log)

    yield start_part
    for process in started:
        process.terminate()  # so that the group knows at once that it has gone
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
async def producer(kafka: OwnKafka) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", linger_ms=5) as own:
        yield own


async def produce(producer: AIOKafkaProducer, partition: int, *values: bytes) -> list[int]:
    """Append records to a partition of `predictions.v1`; return their offsets."""
    sent = [await producer.send(PREDICTIONS.name, value, partition=partition) for value in values]
    return [record.offset for record in await asyncio.gather(*sent)]


def event(model_id: str, number: int, age_seconds: float = 0.0) -> dict[str, Any]:
    """An event of a model: one of three predictions, and a score that says which number it was."""
    at = round(time.time() - age_seconds, 3)
    return {
        "model_id": model_id,
        "prediction": ("late", "on time", "early")[number % 3],
        "score": (number % 97) / 97,
        "timestamp": at,
    }


def single_records(events: list[dict[str, Any]]) -> list[bytes]:
    return [orjson.dumps(each) for each in events]
