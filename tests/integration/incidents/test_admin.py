"""`sentryml-admin` as people run it: on an empty database, and with what cannot be."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import StringIO

import asyncpg
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from sentryml_common.contracts.api_key import key_id_of
from sentryml_incidents.cli import admin as command

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Said:
    """How the command ended."""

    returncode: int
    stdout: str
    stderr: str


Admin = Callable[..., Awaitable[Said]]


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database_url: str) -> Admin:
    """Runs the command in this process, whose log stays as it is."""
    monkeypatch.setattr(command, "configure_logging", lambda *_: None)
    monkeypatch.setenv("SENTRYML_POSTGRES_URL", database_url)

    async def run(*arguments: str, given: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", StringIO(given))
        capsys.readouterr()
        try:
            await asyncio.to_thread(command.main, arguments)
        except SystemExit as end:
            # The interpreter writes a text to standard error, and ends with 1.
            return Said(1, capsys.readouterr().out, str(end.code))
        return Said(0, *capsys.readouterr())

    return run


async def fetch(database_url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "incidents"})
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


def admin_process(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sentryml_incidents.cli.admin", *arguments],
        env=os.environ | {"SENTRYML_POSTGRES_URL": database_url},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


class TestOnAnEmptyDatabase:
    @pytest.fixture
    def database_template(self) -> None:
        """The command makes the tables."""

    async def test_a_key_is_all_that_standard_output_holds(self, database_url: str) -> None:
        """On an empty database: the tables are made first. The relay finds the key unpublished."""
        made = admin_process(
            database_url, "create-api-key", "--name", "ci", "--scope", "read", "--scope", "events:write",
            "--model", "fraud-*", "--expires-in-days", "30",
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        (key,) = made.stdout.splitlines()
        rows = await fetch(database_url, "SELECT * FROM api_key")
        (row,) = rows
        assert row["key_id"] == key_id_of(key)
        assert (row["name"], row["scopes"], row["models"]) == ("ci", ["read", "events:write"], ["fraud-*"])
        assert (row["expires_at"] - row["created_at"]).days == 30
        assert row["published_at"] is None
        assert key.split("_", 2)[2] not in str(rows)


async def test_a_key_is_rotated_revoked_and_listed_without_its_secret(admin: Admin, database_url: str) -> None:
    old = (await admin("create-api-key", "--name", "ci", "--scope", "read")).stdout.strip()
    old_id = old[4:16]
    rotated = await admin("rotate-api-key", old_id, "--overlap-seconds", "3600")
    assert rotated.returncode == 0, rotated.stderr
    (new,) = rotated.stdout.splitlines()
    again = await admin("rotate-api-key", old_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"rotate its successor {new[4:16]}" in again.stderr
    revoked = await admin("revoke-api-key", new[4:16])
    assert (revoked.returncode, revoked.stdout) == (0, f"API key {new[4:16]} revoked\n")
    shown = (await admin("list-api-keys")).stdout
    title, first, second = shown.splitlines()
    assert title.split()[:3] == ["KEY", "ID", "NAME"]
    assert first.split()[:5] == [new[4:16], "ci", "read", "all", "revoked"]
    assert second.split()[:6] == [old_id, "ci", "read", "all", "valid", "until"]
    assert second.endswith(f"replaced by {new[4:16]}  never")
    assert old[17:60] not in shown
    assert new[17:60] not in shown
    rows = await fetch(database_url, "SELECT expires_at - now() AS left FROM api_key WHERE rotated_from IS NULL")
    assert 0 < rows[0]["left"].total_seconds() <= 3600


async def test_the_first_admin_is_made_and_the_password_is_kept_only_as_a_hash(admin: Admin, database_url: str) -> None:
    asked = ("create-admin", "--email", "Ana@example.org", "--password-stdin")
    assert (await admin(*asked, given=f"{PASSWORD}\n")).returncode == 0
    (row,) = await fetch(database_url, "SELECT * FROM app_user")
    assert (row["email"], row["role"]) == ("Ana@example.org", "admin")
    assert row["password_hash"].startswith("$argon2id$")
    assert PasswordHasher().verify(row["password_hash"], PASSWORD)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(row["password_hash"], PASSWORD + "\n")
    again = await admin("create-admin", "--email", "ana@EXAMPLE.org", "--password-stdin", given=PASSWORD)
    assert (again.returncode, again.stdout) == (1, "")
    assert "there is an account for ana@EXAMPLE.org already" in again.stderr


async def test_a_server_that_refuses_says_which_and_why(
    admin: Admin, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRYML_POSTGRES_URL", database_url.rpartition("/")[0] + "/absent")
    result = await admin("create-api-key", "--name", "x", "--scope", "read")
    assert result.returncode == 1
    assert "absent" in result.stderr
    assert "Traceback" not in result.stderr
