"""The incidents service's parts on a real PostgreSQL, and on a real Kafka where a test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.http.health import Health
from sentryml_common.http.problems import install_problems
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import KafkaSettings, PostgresSettings
from sentryml_incidents.consumer import EvaluationConsumer
from sentryml_incidents.domain.access import make_api_key
from sentryml_incidents.http.api import create_app
from sentryml_incidents.http.context import Context
from sentryml_incidents.settings import SCHEMA
from sentryml_incidents.store.api_keys import insert_api_key
from sentryml_incidents.store.monitors import register_model
from tests.unit.incidents.builders import MODEL, MONDAY, an_evaluation, at, quick

PUBLIC_URL = "http://sentryml.test"


class StillClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on a database of the test's own, with the service's tables."""
    settings = PostgresSettings(postgres_url=SecretStr(database_url))
    async with open_pool(settings, SCHEMA, Health()) as opened:
        await migrate(opened, SCHEMA, read_migrations("sentryml_incidents"))
        yield opened


@pytest.fixture
def kafka_settings(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap=kafka_bootstrap)


@dataclass
class Life:
    """Evaluations of one model, a minute apart, through the real consumer's transaction."""

    pool: Pool
    model_id: str = MODEL
    minute: float = 0
    version: int = 1

    async def sees(self, *grades: str, **how: Any) -> None:
        for grade in grades:
            self.minute += 1
            await self.take(an_evaluation(grade, at(self.minute), model_id=self.model_id, version=self.version, **how))

    async def take(self, evaluation: Evaluation) -> None:
        await EvaluationConsumer(self.pool, quick()).take_all([evaluation])


@pytest.fixture
async def life(pool: Pool) -> Life:
    """A registered model whose monitor confirms everything at once."""
    await register(pool, MODEL, quick())
    return Life(pool)


async def register(pool: Pool, model_id: str, settings: MonitorSettings) -> None:
    async with transaction(pool) as connection:
        assert await register_model(connection, model_id, settings, first_seen=MONDAY, last_seen=MONDAY)


MakeClient = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client_with(pool: Pool, clock: StillClock) -> AsyncIterator[MakeClient]:
    """Makes HTTP clients of the real application, each with a key of its own."""
    app = create_app(Context(PUBLIC_URL, clock, pool))
    install_problems(app)
    clients: list[httpx.AsyncClient] = []

    async def make(
        *scopes: Scope, name: str = "test", models: tuple[str, ...] = (), **changes: Any
    ) -> httpx.AsyncClient:
        randomness = sha256(f"{len(clients)}".encode()).digest() + sha256(name.encode()).digest()[:16]
        text, key = make_api_key(name, scopes, models, None, randomness)
        async with transaction(pool) as connection:
            await insert_api_key(connection, key.model_copy(update=changes), SYSTEM, clock.now)
        headers = {"Authorization": f"Bearer {text}"}
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        clients.append(httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def api(client_with: MakeClient) -> httpx.AsyncClient:
    """A client that may do everything."""
    return await client_with(Scope.ADMIN, name="ana's key")


@pytest.fixture
async def anonymous(pool: Pool, clock: StillClock) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key: a browser."""
    app = create_app(Context(PUBLIC_URL, clock, pool))
    install_problems(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client
