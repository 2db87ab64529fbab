"""Lists over HTTP with ten thousand open incidents, beside the bare query of a page by asyncpg."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import httpx
from pydantic import SecretStr

from bench.incidents.evaluations import MODELS, an_evaluation
from bench.incidents.service import Incidents
from bench.report import Figure, p95_of, say
from sentryml_common.clock import system_clock
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.health import Health
from sentryml_common.postgres.pool import open_pool
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.settings import SCHEMA
from tests.support.eventually import eventually

BATCH, ASKED = 500, 200
PAGE = "SELECT * FROM incidents.incident ORDER BY incident_number DESC LIMIT 50"
LISTS = {
    "incidents, first page of 50": "/v1/incidents?limit=50",
    "incidents, open and critical": "/v1/incidents?state=open&severity=critical&limit=50",
    "incidents, a page of 500": "/v1/incidents?limit=500",
    "one incident": "/v1/incidents/100",
    "models, first page of 100": "/v1/models?limit=100",
}


async def measure(service: Incidents) -> list[Figure]:
    """p95 in milliseconds."""
    say(f"{MODELS:,} models drift")
    await _drift(service.postgres)
    with service.running():
        headers = {"Authorization": f"Bearer {service.make_key()}"}
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30, trust_env=False) as client:
            await service.ready(client)
            say("Kafka gets what waits for it")
            await eventually(lambda: _published(client), what="the outbox to be empty")
            say("lists")
            bare = await _bare(service.postgres)
            return [await _list(client, name, path, bare) for name, path in LISTS.items()]


async def _published(client: httpx.AsyncClient) -> bool:
    return "sentryml_incidents_outbox_pending 0.0" in (await client.get("/metrics")).text


async def _drift(postgres: str) -> None:
    async with open_pool(PostgresSettings(postgres_url=SecretStr(postgres)), SCHEMA, Health()) as pool:
        consumer = EvaluationConsumer(pool, MonitorSettings())
        at = system_clock() + timedelta(minutes=1)
        for start in range(0, MODELS, BATCH):
            numbers = range(start, start + BATCH)
            await consumer.take_all([an_evaluation(f"model-{number:05}", at, drifts=True) for number in numbers])


async def _list(client: httpx.AsyncClient, name: str, path: str, bare: float) -> Figure:
    async def ask() -> None:
        (await client.get(path)).raise_for_status()

    ours = await _p95(ask)
    return Figure(name, ours, bare, ours / bare)


async def _bare(postgres: str) -> float:
    connection = await asyncpg.connect(postgres)
    try:

        async def ask() -> None:
            await connection.fetch(PAGE)

        return await _p95(ask)
    finally:
        await connection.close()


async def _p95(ask: Callable[[], Awaitable[None]]) -> float:
    await ask()
    return await p95_of(ask, ASKED)
