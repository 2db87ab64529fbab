"""Databases of tests: empty ones, and copies of one in which every service has its tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from typing import TypeAlias

import asyncpg
from pydantic import SecretStr

from sentryml_common.health import Health
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.settings import PostgresSettings

SERVICES = ("incidents", "notifier")
"""Services with tables; each has a schema of its name."""
LOCK = 7_153_012
Server: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def make_template(server_url: str) -> str:
    """The name of a database with the tables of all services, made where there is none of these migrations yet."""
    migrations = {service: read_migrations(f"sentryml_{service}") for service in SERVICES}
    files = "\0".join(chain.from_iterable(chain.from_iterable(migrations.values())))
    name = f"template_{hashlib.sha256(files.encode()).hexdigest()[:16]}"
    server = await asyncpg.connect(server_url)
    try:
        # Several workers may share a server that is there already.
        await server.execute("SELECT pg_advisory_lock($1)", LOCK)
        if not await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await _make(server, server_url, name, migrations)
    finally:
        await server.close()
    return name


async def _make(server: Server, server_url: str, name: str, migrations: dict[str, list[tuple[str, str]]]) -> None:
    """Under another name until it is complete: an interrupted run leaves no half of one."""
    part = f"{name}_part"
    await server.execute(f'DROP DATABASE IF EXISTS "{part}" WITH (FORCE)')
    await server.execute(f'CREATE DATABASE "{part}"')
    for service, files in migrations.items():
        async with a_pool(url_of(server_url, part), service) as pool:
            await migrate(pool, service, files)
    await server.execute(f'ALTER DATABASE "{part}" RENAME TO "{name}"')


@asynccontextmanager
async def a_database(server: Server, name: str, template: str | None = None) -> AsyncIterator[None]:
    """A new database on a server: a copy of `template`, or an empty one."""
    await server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await server.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    yield
    await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def a_pool(database_url: str, schema: str) -> AsyncIterator[Pool]:
    """Connections to the tables of one service."""
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), schema, Health()) as pool:
        yield pool


class Emptied:
    """A database that tests have one after another: each finds it as a copy of the template is, since the tables of the
    service are emptied after each. A copy for each, and connections to it, cost four times as much.

    It is for tests that change nothing but rows. One that closes connections, or leaves some in use, ends it: the next
    gets another.
    """

    def __init__(self, server: Server, server_url: str, template: str, schema: str) -> None:
        self._server, self._server_url, self._template, self._schema = server, server_url, template, schema
        self._opened, self._empty = AsyncExitStack(), ""
        self._pool: Pool | None = None

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[Pool]:
        """Its connections, for one test."""
        pool = self._pool or await self._open()
        yield pool
        if pool.is_closing() or pool.get_idle_size() < pool.get_size():
            await self.close()
        else:
            await pool.execute(self._empty)

    async def close(self) -> None:
        """Drop it."""
        self._pool = None
        await self._opened.aclose()

    async def _open(self) -> Pool:
        name = f"emptied_{self._schema}_{os.getpid()}"
        await self._opened.enter_async_context(a_database(self._server, name, self._template))
        pool = await self._opened.enter_async_context(a_pool(url_of(self._server_url, name), self._schema))
        tables = await pool.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'migration'", self._schema
        )
        sequences = await pool.fetch("SELECT sequencename FROM pg_sequences WHERE schemaname = $1", self._schema)
        self._empty = f"TRUNCATE {', '.join(row[0] for row in tables)};" + "".join(
            f"ALTER SEQUENCE {row[0]} RESTART;" for row in sequences
        )
        self._pool = pool
        return pool


def url_of(server_url: str, database: str) -> str:
    """The address of another database of the same server."""
    return f"{server_url.rpartition('/')[0]}/{database}"
