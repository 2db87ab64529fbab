"""Ingest as a process of its own, on a real Kafka, and what it has put into the topic."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import API_KEYS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.http_client import http_client
from tests.support.ports import free_port
from tests.support.processes import Process


@dataclass(frozen=True, slots=True)
class Ingest:
    """A running ingest."""

    process: Process
    url: str
    log: Path

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response | None:
        """Its answer; None while it does not listen yet."""
        try:
            async with http_client(self.url, timeout=30) as client:
                return await client.request(method, path, **how)
        except httpx.ConnectError:
            assert self.process.poll() is None, self.log.read_text()
            return None

    async def send(self, key: str | None, body: Any, **headers: str) -> httpx.Response:
        """The answer to events."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {}), **headers}
        answer = await self.ask("POST", "/v1/events", content=content, headers=sent)
        assert answer is not None
        return answer

    async def until_ready(self) -> None:
        """Wait until `/readyz` says so."""

        async def ready() -> bool:
            answer = await self.ask("GET", "/readyz")
            return answer is not None and answer.status_code == 200

        await eventually(ready, what=f"ingest to be ready ({self.log})")

    async def waiting_for(self) -> dict[str, str]:
        """What `/readyz` says is waited for."""
        answer = await self.ask("GET", "/readyz")
        return dict(answer.json()["waiting_for"]) if answer is not None else {}

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one kind."""
        lines = [orjson.loads(line) for line in self.log.read_bytes().split(b"\n")[:-1]]
        return [line for line in lines if line["event"] == event]

    async def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(signum)
        return await asyncio.to_thread(self.process.wait, LONG_SECONDS)


StartIngest = Callable[..., Ingest]


@contextmanager
def starting(folder: Path) -> Iterator[StartIngest]:
    """Start processes of ingest with settings, by their names without the prefix; at the end they are killed."""
    started: list[Process] = []

    def start(**settings: object) -> Ingest:
        port, log = free_port(), folder / f"ingest-{len(started)}.log"
        environment = {f"SENTRYML_{name.upper()}": str(value) for name, value in settings.items()}
        # PostgreSQL is nowhere: ingest has no use for it.
        environment |= {"SENTRYML_HTTP_PORT": str(port), "SENTRYML_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/x"}
        started.append(Process("sentryml_ingest", environment=environment, log=log))
        return Ingest(started[-1], f"http://127.0.0.1:{port}", log)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
def start_ingest(tmp_path: Path) -> Iterator[StartIngest]:
    """Start processes of ingest that are the test's own."""
    with starting(tmp_path) as start:
        yield start


@pytest.fixture
def model_id() -> str:
    """A model of the test's own: the topics are the real ones, and may hold those of earlier runs."""
    return f"model-{token_hex(6)}"


async def publish_key(kafka_bootstrap: str, key: ApiKey) -> None:
    """Tell `api-keys.v1` of a key, or of a change of it."""
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap)
    await ensure_topics(settings, Health())
    async with open_publisher(settings, Health()) as publisher:
        await publisher.publish([Record(API_KEYS.name, key.key_id.encode(), encode(key))])


async def make_key(
    kafka_bootstrap: str, *scopes: Scope, models: tuple[str, ...] = (), **changes: Any
) -> tuple[str, ApiKey]:
    """A key that Kafka knows: its text, and what is known of it."""
    key_id = token_hex(6)
    text = form_key(key_id, token_urlsafe(32))
    known = ApiKey(key_id=key_id, name="test", key_hash=hash_key(text), scopes=scopes, models=models, **changes)
    await publish_key(kafka_bootstrap, known)
    return text, known


@pytest.fixture(scope="module")
async def key(kafka_bootstrap: str) -> str:
    """A key that may write events of every model."""
    text, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    return text


async def records_of(kafka_bootstrap: str, model_id: str) -> list[tuple[bytes | None, list[dict[str, Any]]]]:
    """(key, events) of each record in the topic that speaks of a model, to the topic's end."""
    records = [record for record in await all_records(kafka_bootstrap) if model_id.encode() in record.value]
    return [(record.key, orjson.loads(record.value)) for record in records]


async def all_records(kafka_bootstrap: str) -> list[Any]:
    """Each record in the topic, to the topic's end."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=None, enable_auto_commit=False) as consumer:
        partitions = [TopicPartition(PREDICTIONS.name, number) for number in range(PREDICTIONS.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Any] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
