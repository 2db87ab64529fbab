"""PostgreSQL away, Kafka away, both restarted, under load: nothing lost, nothing twice, and meanwhile `/readyz` and the
metrics tell the truth.

An outage lasts until it is reported and a load has come meanwhile. SENTRYML_TEST_OUTAGE_SECONDS=60 makes each last at
least that long.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import EVALUATIONS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_local.stack import Options, Stack
from tests.integration.incidents.test_service import Service, make_key, published, running, sequences_in_kafka
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.ports import free_port_base
from tests.support.servers import a_stack_with
from tests.unit.incidents.builders import an_evaluation, at

LASTS_SECONDS = float(os.environ.get("SENTRYML_TEST_OUTAGE_SECONDS", "0"))
MODELS = [f"model-{number}" for number in range(10)]
CYCLE = ("critical", "warn", "warn", "warn")  # opened or escalated, then deescalated
MEANWHILE = 40


class Servers:
    """A Kafka and a PostgreSQL of the test's own, which can be stopped."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        environment = stack.environment()
        self.kafka, self.postgres = environment["SENTRYML_KAFKA_BOOTSTRAP"], environment["SENTRYML_POSTGRES_URL"]

    @asynccontextmanager
    async def away(self, *names: str) -> AsyncIterator[None]:
        """Stopped within the block."""
        began = time.monotonic()
        await asyncio.to_thread(self._stack.stop, names)
        yield

        async def lasted() -> bool:
            return time.monotonic() - began >= LASTS_SECONDS

        await eventually(lasted, what="the outage to last", within=LASTS_SECONDS + LONG_SECONDS)
        await asyncio.to_thread(self._stack.up)


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    with a_stack_with(Options(port_base=free_port_base(), only=("kafka", "postgres"))) as stack:
        yield Servers(stack)


class Load:
    """Evaluations of all models, minute by minute of their own time, as long as nobody says stop."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer, self.minutes, self._enough = producer, 0, asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._enough.clear()
        self._task = asyncio.create_task(self._flow())

    async def end(self) -> None:
        """Stop at the end of a cycle; all that was sent is in Kafka."""
        self._enough.set()
        assert self._task is not None
        await self._task

    async def grow(self, minutes: int = MEANWHILE) -> None:
        """Wait for that number of minutes more."""
        requested = self.minutes + minutes

        async def grown() -> bool:
            return self.minutes >= requested

        await eventually(grown, what=f"{minutes} minutes more of evaluations")

    async def _flow(self) -> None:
        while not (self._enough.is_set() and self.minutes % len(CYCLE) == 0):
            grade, when = CYCLE[self.minutes % len(CYCLE)], at(self.minutes)
            for model_id in MODELS:
                evaluation = an_evaluation(grade, when, model_id=model_id)
                await self._producer.send_and_wait(EVALUATIONS.name, encode(evaluation), model_id.encode())
            self.minutes += 1


@pytest.fixture
async def load(own_servers: Servers) -> AsyncIterator[Load]:
    await ensure_topics(KafkaSettings(kafka_bootstrap=own_servers.kafka), Health())
    producer = AIOKafkaProducer(bootstrap_servers=own_servers.kafka)
    await producer.start()
    yield Load(producer)
    await producer.stop()


async def metric(service: Service, name: str) -> float:
    """The sum of a metric over all its labels."""
    answer = await service.answers(200, "/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", answer.text, re.MULTILINE))


async def shows(service: Service, name: str, least: float, most: float = float("inf")) -> None:
    async def shown() -> bool:
        return least <= await metric(service, name) <= most

    await eventually(shown, what=f"{name} between {least} and {most}")


async def says(service: Service, *text: str) -> None:
    async def said() -> bool:
        answer = await service.ask("GET", "/readyz")
        return answer is not None and answer.status_code == 503 and all(word in answer.text for word in text)

    await eventually(said, what=f"/readyz to say {text}")


async def test_outages_under_load_lose_nothing_double_nothing_and_are_reported(
    own_servers: Servers, load: Load, tmp_path: Path
) -> None:
    key = make_key(own_servers.postgres, tmp_path)
    with running(tmp_path, key, kafka_bootstrap=own_servers.kafka, postgres_url=own_servers.postgres) as service:
        await service.answers(200, "/readyz")
        load.begin()
        await load.grow()
        await postgres_goes(own_servers, service, load)
        await load.end()
        await caught_up(service, load)
        await shows(service, "sentryml_incidents_outbox_pending", 0, 0)
        notes = await kafka_goes(own_servers, service)
        await service.answers(200, "/readyz")
        async with own_servers.away("kafka", "postgres"):
            await says(service, "PostgreSQL does not answer")
        load.begin()
        await load.grow()
        await load.end()
        await caught_up(service, load)
        await shows(service, "sentryml_incidents_outbox_pending", 0, 0)
        await service.answers(200, "/readyz")
        await as_if_nothing_had_happened(own_servers, load, notes)


async def postgres_goes(servers: Servers, service: Service, load: Load) -> None:
    async with servers.away("postgres"):
        await says(service, "PostgreSQL does not answer")
        await load.grow()
        await shows(service, "sentryml_consumer_retries_total", 1)
        await shows(service, "sentryml_consumer_lag", len(MODELS))
        assert (await service.answers(503, "/v1/incidents")).headers["Retry-After"]
    await service.answers(200, "/readyz")


async def kafka_goes(servers: Servers, service: Service) -> dict[str, int]:
    """People go on while it is away; returns how many notes each model's incident has got."""
    async with servers.away("kafka"):
        for model_id in MODELS:
            (incident,) = await service.incidents_of(model_id)
            path = f"/v1/incidents/{incident['incident_number']}/notes"
            answer = await service.ask("POST", path, json={"note": "Kafka is away, this is written down all the same"})
            assert answer is not None
            assert answer.status_code == 200
        await says(service, "Kafka")
        await shows(service, "sentryml_incidents_outbox_pending", len(MODELS))
        await shows(service, "sentryml_incidents_outbox_oldest_seconds", 0.001)
    return dict.fromkeys(MODELS, 1)


async def caught_up(service: Service, load: Load) -> None:
    await shows(service, "sentryml_incidents_evaluations_total", load.minutes * len(MODELS))


async def as_if_nothing_had_happened(servers: Servers, load: Load, notes: dict[str, int]) -> None:
    """Every evaluation is kept once, and every model's timeline is whole, in PostgreSQL and, in order, in Kafka."""
    connection = await asyncpg.connect(servers.postgres, server_settings={"search_path": "incidents"})
    try:
        for model_id in MODELS:
            requested = 2 * load.minutes // len(CYCLE) + notes[model_id]
            kept = await connection.fetchval("SELECT count(*) FROM evaluation WHERE model_id = $1", model_id)
            assert kept == load.minutes
            (incident,) = await connection.fetch("SELECT sequence, state FROM incident WHERE model_id = $1", model_id)
            assert (incident["sequence"], incident["state"]) == (requested, "open")
            await published(servers.kafka, model_id, requested)  # the gauge of what waits is measured now and then
            first_seen = list(dict.fromkeys(await sequences_in_kafka(servers.kafka, model_id)))
            assert first_seen == list(range(1, requested + 1)), f"{model_id}: as they first came to Kafka"
    finally:
        await connection.close()
