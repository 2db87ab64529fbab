"""The incidents service's parts on a real PostgreSQL, and on a real Kafka where a test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from secrets import token_bytes
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.http.problems import install_problems
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_common.settings import KafkaSettings
from sentryml_incidents import passwords
from sentryml_incidents.asgi import create_app
from sentryml_incidents.clients.ingest import Ingest
from sentryml_incidents.clients.notifier import Notifier
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.domain.api_keys import make_api_key
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.domain.sessions import SECRET_BYTES, make_secret, new_session
from sentryml_incidents.passwords import hash_password
from sentryml_incidents.settings import SCHEMA
from sentryml_incidents.store.monitors import register_model
from sentryml_incidents.store.people.api_keys import insert_api_key
from sentryml_incidents.store.people.sessions import insert_session
from sentryml_incidents.store.people.users import insert_user, rename_user
from sentryml_incidents.usecases.context import Context, KafkaAddress, install_context
from sentryml_incidents.web.people.session import cookie_name
from tests.support.applications import a_copy
from tests.support.databases import Server, a_pool
from tests.support.kept_database import KeptDatabase
from tests.unit.incidents.builders import MODEL, MONDAY, an_evaluation, at, quick

PUBLIC_URL = "http://sentryml.test"


class StillClock:
    """A clock that stops until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


CLOCK = StillClock()
"""What the routes for other services go by, which an application makes once."""


@pytest.fixture
def clock() -> StillClock:
    CLOCK.now = MONDAY
    return CLOCK


@pytest.fixture
def database_template(migrated: str) -> str:
    """Databases of these tests have their tables already."""
    return migrated


@pytest.fixture(scope="session")
async def kept_database(postgres_server: Server, postgres_url: str, migrated: str) -> AsyncIterator[KeptDatabase]:
    """What tests use one after the other."""
    kept = KeptDatabase(postgres_server, postgres_url, migrated, SCHEMA)
    yield kept
    await kept.close()


@pytest.fixture
async def kept_pool(kept_database: KeptDatabase) -> AsyncIterator[Pool]:
    async with kept_database.pool() as opened:
        yield opened


@pytest.fixture
async def own_pool(database_url: str) -> AsyncIterator[Pool]:
    async with a_pool(database_url, SCHEMA) as opened:
        yield opened


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Pool:
    """A pool on a database with the service's tables: on one of the test's own where `database_url` is asked for."""
    pool: Pool = request.getfixturevalue("own_pool" if "database_url" in request.fixturenames else "kept_pool")
    return pool


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


@cache
def _application(internal_secret: SecretStr | None) -> FastAPI:
    app = create_app(Context(PUBLIC_URL, CLOCK), internal_secret)
    install_problems(app)
    return app


def app_on(context: Context, internal_secret: SecretStr | None = None) -> FastAPI:
    """The real application on a context."""
    app = a_copy(_application(internal_secret))
    install_context(app, context)
    return app


MakeClient = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client_with(pool: Pool, clock: StillClock) -> AsyncIterator[MakeClient]:
    """Makes HTTP clients of the real application, each with a key of its own."""
    app = app_on(Context(PUBLIC_URL, clock, pool))
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


MakeBrowser = Callable[..., httpx.AsyncClient]


@pytest.fixture
def notifier() -> Notifier | None:
    """What the pages of alerts ask; tests of these have a real one."""
    return None


@pytest.fixture
def ingest() -> Ingest | None:
    """Where test events are sent to."""
    return None


@pytest.fixture
async def browser_with(
    pool: Pool, clock: StillClock, notifier: Notifier | None, ingest: Ingest | None
) -> AsyncIterator[MakeBrowser]:
    """Makes browsers: clients without a key, each with cookies of its own."""
    clients: list[httpx.AsyncClient] = []

    def make(address: str = "198.51.100.7", public_url: str = PUBLIC_URL) -> httpx.AsyncClient:
        app = app_on(
            Context(
                public_url,
                clock,
                pool,
                notifier=notifier,
                ingest=ingest,
                kafka=KafkaAddress("kafka.example.org:9092", "sentryml.predictions.v1"),
                counted_seconds=0.0,
            )
        )
        transport = httpx.ASGITransport(app=app, client=(address, 40_000), raise_app_exceptions=False)
        clients.append(httpx.AsyncClient(transport=transport, base_url=public_url))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


PASSWORD = "correct horse battery"


@pytest.fixture
def anonymous(browser_with: MakeBrowser) -> httpx.AsyncClient:
    """A browser in which nobody is signed in."""
    return browser_with()


async def add_user(pool: Pool, name: str, role: Role, **changes: Any) -> UUID:
    """An account <name>@example.org, whose password is PASSWORD."""
    async with transaction(pool) as connection:
        user_id = await insert_user(connection, f"{name}@example.org", role, hash_of(PASSWORD), MONDAY, **changes)
        await rename_user(connection, user_id, name)
    return user_id


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes cost next to nothing in this process; services in processes of their own hash as they always do."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


hash_of = cache(hash_password)
"""Tests share hashes."""

SignedIn = Callable[..., Awaitable[httpx.AsyncClient]]


async def begin_session(pool: Pool, client: httpx.AsyncClient, user_id: UUID, now: datetime) -> None:
    """Let somebody be signed in in a browser, as the form would have done."""
    secret = make_secret(token_bytes(SECRET_BYTES))
    session = new_session(secret, user_id, "198.51.100.7", client.headers["user-agent"], now)
    async with transaction(pool) as connection:
        await insert_session(connection, session)
    client.cookies.set(cookie_name(str(client.base_url)), secret, domain=client.base_url.host)


@pytest.fixture
async def signed_in(pool: Pool, browser_with: MakeBrowser, clock: StillClock) -> SignedIn:
    """Makes browsers in which somebody is signed in, who has an account from then on."""
    known: dict[str, UUID] = {}

    async def make(name: str, role: Role = Role.VIEWER) -> httpx.AsyncClient:
        if name not in known:
            known[name] = await add_user(pool, name, role)
        client = browser_with()
        await begin_session(pool, client, known[name], clock.now)
        return client

    return make


@pytest.fixture
async def ana(signed_in: SignedIn) -> httpx.AsyncClient:
    """A browser in which a responder is signed in."""
    return await signed_in("ana", Role.RESPONDER)


@pytest.fixture
async def admin(signed_in: SignedIn) -> httpx.AsyncClient:
    """A browser in which an admin is signed in."""
    return await signed_in("ana", Role.ADMIN)


@pytest.fixture
async def reader(signed_in: SignedIn) -> httpx.AsyncClient:
    """A browser in which a viewer is signed in."""
    return await signed_in("vera")
