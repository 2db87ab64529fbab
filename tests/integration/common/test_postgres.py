"""The pool and the migrations, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

import sentryml_common.postgres.pool
from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import PostgresSettings
from tests.support.eventually import eventually
from tests.support.ports import free_port

FILES = [("0001_a.sql", "CREATE TABLE a (number int)"), ("0002_b.sql", "INSERT INTO a VALUES (1)")]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), "example", Health()) as opened:
        yield opened


async def test_eight_racing_replicas_apply_each_file_once(pool: Pool) -> None:
    applied = await asyncio.gather(*(migrate(pool, "example", FILES) for _ in range(8)))
    assert sorted(name for names in applied for name in names) == ["0001_a.sql", "0002_b.sql"]
    assert await pool.fetchval("SELECT count(*) FROM a") == 1
    assert await pool.fetchval("SELECT count(*) FROM example.a") == 1, "the tables lie in the service's own schema"


async def test_an_applied_file_that_has_changed_is_refused_and_a_new_one_applied(pool: Pool) -> None:
    await migrate(pool, "example", FILES)
    with pytest.raises(ConfigurationError, match=r"schema example do not match .* 0001_a\.sql has changed"):
        await migrate(pool, "example", [("0001_a.sql", "CREATE TABLE a (number bigint)"), FILES[1]])
    more = ("0003_c.sql", "INSERT INTO a VALUES (2)")
    assert await migrate(pool, "example", [*FILES, more]) == ["0003_c.sql"]


async def test_an_applied_file_that_is_gone_is_refused_and_nothing_is_applied(pool: Pool) -> None:
    await migrate(pool, "example", FILES)
    with pytest.raises(ConfigurationError, match=r"0001_a\.sql was applied, and the file is gone; restore it"):
        await migrate(pool, "example", [FILES[1], ("0003_c.sql", "INSERT INTO a VALUES (2)")])
    assert await pool.fetchval("SELECT count(*) FROM a") == 1


async def test_a_file_that_postgresql_refuses_is_named_and_leaves_nothing_behind(pool: Pool) -> None:
    await pool.execute("CREATE SCHEMA example; CREATE TABLE example.a (number int)")
    with pytest.raises(ConfigurationError, match=r'refuses the migration 0001_a\.sql: relation "a" already exists'):
        await migrate(pool, "example", FILES)
    assert await pool.fetchval("SELECT to_regclass('migration')") is None


async def test_a_migration_may_take_longer_than_a_request(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentryml_common.postgres.pool, "STATEMENT_TIMEOUT_MILLISECONDS", 200)
    monkeypatch.setattr(sentryml_common.postgres.pool, "COMMAND_TIMEOUT_SECONDS", 0.2)
    slow = [("0001_slow.sql", "SELECT pg_sleep(0.5)")]
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), "example", Health()) as hurried:
        both = await asyncio.gather(migrate(hurried, "example", slow), migrate(hurried, "example", slow))
        assert sorted(both) == [[], ["0001_slow.sql"]], "the second waits for the first"
        with pytest.raises((TimeoutError, asyncpg.QueryCanceledError)):
            await hurried.execute("SELECT pg_sleep(0.5)")


async def test_a_transaction_is_whole_or_not_at_all_and_json_comes_back_as_it_went(pool: Pool) -> None:
    await migrate(pool, "example", [("0001.sql", "CREATE TABLE kept (value jsonb)")])
    async with transaction(pool) as connection:
        await connection.execute("INSERT INTO kept VALUES ($1)", {"psi": 0.5, "text": ["ä"]})

    async def stopped_midway() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES ($1)", {})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await stopped_midway()
    assert [row["value"] for row in await pool.fetch("SELECT value FROM kept")] == [{"psi": 0.5, "text": ["ä"]}]


async def test_a_server_that_is_not_there_is_waited_for_and_named_without_its_password() -> None:
    health, port = Health(), free_port()
    settings = PostgresSettings(postgres_url=SecretStr(f"postgresql://u:very-secret@127.0.0.1:{port}/x"))

    async def wait() -> None:
        async with open_pool(settings, "example", health):
            pytest.fail("there is no server")

    waiting = asyncio.create_task(wait())
    try:

        async def said() -> bool:
            return "does not answer" in health.waiting_for.get("postgres", "")

        await eventually(said, what="/readyz to say what is waited for")
        assert str(port) in health.waiting_for["postgres"]
        assert "very-secret" not in health.waiting_for["postgres"]
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_connection_that_nobody_gives_back_does_not_hold_up_the_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentryml_common.postgres.pool, "CLOSE_SECONDS", 0.1)
    settings = PostgresSettings(postgres_url=SecretStr(database_url))
    async with open_pool(settings, "example", Health()) as pool:
        kept = await pool.acquire()
        assert await kept.fetchval("SELECT 1") == 1
    with pytest.raises(asyncpg.InterfaceError, match="released"):
        await kept.fetchval("SELECT 1")
