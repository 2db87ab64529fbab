"""The connection pool: waits for PostgreSQL, keeps to the service's own schema, speaks JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import orjson

from sentryml_common.errors import ConfigurationError, Unavailable
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.settings import PostgresSettings
from sentryml_common.waiting import wait_for

log = get_logger(__name__)

STATEMENT_TIMEOUT_MILLISECONDS = 9_000
CONNECT_TIMEOUT_SECONDS = 5
COMMAND_TIMEOUT_SECONDS = 10  # a server that hangs is away, too
CLOSE_SECONDS = 5.0

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,  # the statement timeout: a server, or a lock, that takes too long
    asyncpg.LockNotAvailableError,  # the lock timeout of who would rather come back than be waited for
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of an operation
)
"""What asyncpg raises when the server is away, restarting or full."""

REFUSING = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.exceptions.ClientConfigurationError,
)
"""What it raises when the address or the credentials are wrong: waiting does not help."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_json_of, decoder=orjson.loads)


def _json_of(value: object) -> str:
    """Values, among them contracts and dataclasses, as they are kept."""
    return orjson.dumps(value, default=lambda part: part.model_dump(mode="json")).decode()


def address_of(settings: PostgresSettings) -> str:
    """The server's address without credentials, for logs and `/readyz`."""
    return settings.postgres_url.get_secret_value().rpartition("@")[2].partition("?")[0]


@asynccontextmanager
async def open_pool(settings: PostgresSettings, schema: str, health: Health) -> AsyncIterator[Pool]:
    """A pool on `schema`, opened when PostgreSQL answers.

    Raises:
        ConfigurationError: PostgreSQL answers, and refuses the user, the password or the database.
    """

    async def attempt() -> Pool:
        return await _create(settings, schema)

    pool = await wait_for("postgres", address_of(settings), attempt, health, AWAY)
    try:
        yield pool
    finally:
        await _close(pool)


async def _close(pool: Pool) -> None:
    """Close all connections: those that nobody gives back, which closing would wait for without end, by force."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        log.warning("connections_terminated", seconds=CLOSE_SECONDS)


async def _create(settings: PostgresSettings, schema: str) -> Pool:
    try:
        return await asyncpg.create_pool(
            settings.postgres_url.get_secret_value(),
            min_size=1,
            max_size=settings.postgres_pool_size,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            init=_prepare,
            server_settings={
                "search_path": schema,
                "application_name": f"sentryml-{schema}",
                "statement_timeout": str(STATEMENT_TIMEOUT_MILLISECONDS),
                "timezone": "UTC",
            },
        )
    except REFUSING as err:
        refused = f"PostgreSQL at {address_of(settings)} refuses: {err}"
        raise ConfigurationError(f"{refused}. Check SENTRYML_POSTGRES_URL") from err


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on a pooled connection.

    Raises:
        Unavailable: PostgreSQL is away; nothing was written, or the caller must assume so and rely on its
            writes being idempotent.
    """
    try:
        async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection, connection.transaction():
            yield connection
    except AWAY as err:
        raise Unavailable(f"PostgreSQL does not answer: {type(err).__name__}: {err}") from err
