"""PostgreSQL behind a proxy: not there yet, cut off, and hanging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.postgres import pool as pool_module
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import PostgresSettings
from tests.support.eventually import eventually
from tests.support.proxy import Proxy

COMMAND_SECONDS = 0.5


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """Before the test's database, and closed."""
    own = Proxy(database_url)
    try:
        yield own
    finally:
        await own.cut()


@pytest.fixture
async def pool(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """A pool on the database, with a table; what hangs is given up soon."""
    monkeypatch.setattr(pool_module, "COMMAND_TIMEOUT_SECONDS", COMMAND_SECONDS)
    monkeypatch.setattr(pool_module, "CONNECT_TIMEOUT_SECONDS", COMMAND_SECONDS)
    await proxy.open()
    async with open_pool(settings_of(proxy), "public", Health()) as opened:
        await opened.execute("CREATE TABLE kept (number int)")
        yield opened
        await proxy.open()


def settings_of(proxy: Proxy) -> PostgresSettings:
    return PostgresSettings(postgres_url=SecretStr(proxy.url), postgres_pool_size=2)


async def test_a_server_that_comes_later_is_used_as_soon_as_it_is_there(proxy: Proxy) -> None:
    health, answered = Health(), asyncio.get_running_loop().create_future()

    async def ask() -> None:
        async with open_pool(settings_of(proxy), "example", health) as opened:
            answered.set_result(await opened.fetchrow("SELECT current_schemas(true) AS path, now()::text AS now"))

    asking = asyncio.create_task(ask())

    async def said() -> bool:
        return "does not answer" in health.waiting_for.get("postgres", "")

    await eventually(said, what="/readyz to say that PostgreSQL is waited for")
    assert not answered.done()
    await proxy.open()
    await asyncio.wait_for(asking, 60)
    assert answered.result()["now"].endswith("+00")
    assert "postgres" not in health.waiting_for


async def insert(pool: Pool, number: int) -> None:
    async with transaction(pool) as connection:
        await connection.execute("INSERT INTO kept VALUES ($1)", number)


async def insert_again(pool: Pool, number: int) -> None:
    """Insert as a consumer would: try until PostgreSQL is back."""

    async def done() -> bool:
        try:
            await insert(pool, number)
        except Unavailable:
            return False
        return True

    await eventually(done, what="the pool to find PostgreSQL again")


async def numbers(pool: Pool) -> list[int]:
    return [row["number"] for row in await pool.fetch("SELECT number FROM kept ORDER BY number")]


async def test_a_cut_connection_means_unavailable_and_the_pool_recovers_by_itself(proxy: Proxy, pool: Pool) -> None:
    await insert(pool, 1)

    async def cut_midway() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES (2)")
            await proxy.cut()
            await connection.execute("INSERT INTO kept VALUES (3)")

    with pytest.raises(Unavailable, match="PostgreSQL does not answer"):
        await cut_midway()
    with pytest.raises(Unavailable, match="PostgreSQL does not answer"):
        await insert(pool, 4)
    await proxy.open()
    await insert_again(pool, 5)
    assert await numbers(pool) == [1, 5], "what was not committed is not there"


async def test_a_server_that_hangs_means_unavailable_in_bounded_time(proxy: Proxy, pool: Pool) -> None:
    await insert(pool, 1)
    proxy.hang()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="PostgreSQL does not answer"):
        await asyncio.wait_for(insert(pool, 2), 30)
    assert time.monotonic() - began < 20 * COMMAND_SECONDS
    await proxy.cut()  # what was under way never arrives
    await proxy.open()
    await insert_again(pool, 3)
    assert await numbers(pool) == [1, 3]
