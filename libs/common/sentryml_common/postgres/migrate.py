"""Migrations: numbered files of plain SQL, forward only, each applied once.

Every service keeps its tables in a schema of its own. One advisory lock makes racing replicas take turns; the
checksum of an applied file is kept, since a file that changed after the fact would make installations differ.
docs/upgrading.md says what that means for who runs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files

import asyncpg

from sentryml_common.errors import ConfigurationError
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool

log = get_logger(__name__)

LOCK = 7_153_011
LONGEST_SECONDS = 86_400.0


def read_migrations(package: str) -> list[tuple[str, str]]:
    """(name, SQL) of each file in `<package>/migrations`, in their order."""
    folder = files(package) / "migrations"
    found = [(file.name, file.read_text()) for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(found)


async def migrate(pool: Pool, schema: str, migrations: list[tuple[str, str]]) -> list[str]:
    """Apply what has not been applied to `schema`; return the names of what was. It may take as long as it takes.

    Raises:
        ConfigurationError: what has been applied is not what is installed, or PostgreSQL refuses a file; nothing was
            applied.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=LONGEST_SECONDS)
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
        rows = await connection.fetch("SELECT name, checksum FROM migration")
        applied = {row["name"]: row["checksum"] for row in rows}
        wrong = why_not(applied, {name: checksum_of(sql) for name, sql in migrations})
        if wrong is not None:
            raise ConfigurationError(
                f"the tables in the schema {schema} do not match this version of SentryML: {wrong}"
            )
        missing = [(name, sql) for name, sql in migrations if name not in applied]
        for name, sql in missing:
            await _apply(connection, name, sql)
        return [name for name, _ in missing]


def checksum_of(sql: str) -> str:
    """What is remembered of a file that was applied."""
    return hashlib.sha256(sql.encode()).hexdigest()


def why_not(applied: Mapping[str, str], installed: Mapping[str, str]) -> str | None:
    """Why the files that are installed cannot follow those that were applied, and what to do; None if they can.

    Both map names to checksums.
    """
    names = {checksum: name for name, checksum in installed.items()}
    for name, checksum in sorted(applied.items()):
        if name in installed and installed[name] != checksum:
            return f"{name} has changed since it was applied; restore that file, and put the change into a new one"
        if name not in installed and checksum in names:
            return f"{name} was applied under that name, and is called {names[checksum]} now; give it its old name back"
    newest_installed, newest_applied = max(installed, default=""), max(applied, default="")
    for name in sorted(applied.keys() - installed.keys()):
        if name > newest_installed:
            return f"a newer version has applied {name}; install that version, or restore a backup (docs/upgrading.md)"
        return f"{name} was applied, and the file is gone; restore it"
    for name in sorted(installed.keys() - applied.keys()):
        if name < newest_applied:
            return f"{name} would come before {newest_applied}, which has been applied; give it a number after that"
    return None


async def _apply(connection: Connection, name: str, sql: str) -> None:
    try:
        await connection.execute(sql, timeout=LONGEST_SECONDS)
    except asyncpg.exceptions.SyntaxOrAccessError as err:
        raise ConfigurationError(
            f"PostgreSQL refuses the migration {name}: {err}; somebody has changed tables by hand, or the user may not"
        ) from err
    await connection.execute("INSERT INTO migration (name, checksum) VALUES ($1, $2)", name, checksum_of(sql))
    log.info("migration_applied", migration=name)
