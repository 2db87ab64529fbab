"""Databases of tests: empty ones, and copies of one in which every service has its tables."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    copied = f' TEMPLATE "{template}"' if template else ""
    await server.execute(f'CREATE DATABASE "{name}"{copied} STRATEGY FILE_COPY')  # twice as fast as through the WAL
    yield
    await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def a_pool(database_url: str, schema: str) -> AsyncIterator[Pool]:
    """Connections to the tables of one service."""
    async with open_pool(PostgresSettings(postgres_url=SecretStr(database_url)), schema, Health()) as pool:
        yield pool


def url_of(server_url: str, database: str) -> str:
    """The address of another database of the same server."""
    return f"{server_url.rpartition('/')[0]}/{database}"
