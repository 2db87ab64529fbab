"""Migrations: numbered files of plain SQL, forward only, each applied once.

Every service keeps its tables in a schema of its own. One advisory lock makes racing replicas take turns; the
checksum of an applied file is kept, since a file that changed after the fact would make installations differ.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from sentryml_common.errors import ConfigurationError
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool

log = get_logger(__name__)

LOCK = 7_153_011


def read_migrations(package: str) -> list[tuple[str, str]]:
    """(name, SQL) of each file in `<package>/migrations`, in their order."""
    folder = files(package) / "migrations"
    found = [(file.name, file.read_text()) for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(found)


async def migrate(pool: Pool, schema: str, migrations: list[tuple[str, str]]) -> list[str]:
    """Apply what has not been applied to `schema`; return the names of what was.

    Raises:
        ConfigurationError: an applied file has changed since.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(
            """
            CREATE TABLE IF NOT EXISTS migration (
              name text PRIMARY KEY,
              checksum text NOT NULL,
              applied_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )
        done = {row["name"]: row["checksum"] for row in await connection.fetch("SELECT name, checksum FROM migration")}
        return [name for name, sql in migrations if await _apply(connection, name, sql, done)]


async def _apply(connection: Connection, name: str, sql: str, done: dict[str, str]) -> bool:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    if name in done:
        if done[name] != checksum:
            raise ConfigurationError(f"the migration {name} has changed since it was applied: add a new file instead")
        return False
    await connection.execute(sql)
    await connection.execute("INSERT INTO migration (name, checksum) VALUES ($1, $2)", name, checksum)
    log.info("migration_applied", migration=name)
    return True
