"""Attempts to sign in that have not led in. An attempt is written down before its password is looked at, so that many
at once are counted like many in a row."""

from __future__ import annotations

from datetime import datetime, timedelta

from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.throttle import BY_ACCOUNT, BY_ADDRESS, KEPT_FOR, Attempts, wait_of

ACCOUNT_LOCKS, NETWORK_LOCKS = 7_153_012, 7_153_013


async def take_attempt(connection: Connection, account_hash: str, network: str, now: datetime) -> timedelta:
    """Write an attempt down; or say how long to wait before one may be made."""
    for locks, subject in ((ACCOUNT_LOCKS, account_hash), (NETWORK_LOCKS, network)):
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", locks, subject)
    of_account = await _since(connection, "account_hash", account_hash, now - BY_ACCOUNT.memory)
    of_network = await _since(connection, "network", network, now - BY_ADDRESS.memory)
    wait = max(wait_of(BY_ACCOUNT, of_account, now), wait_of(BY_ADDRESS, of_network, now))
    if not wait:
        await connection.execute(
            "INSERT INTO sign_in_attempt (account_hash, network, at) VALUES ($1, $2, $3)", account_hash, network, now
        )
    return wait


async def _since(connection: Connection, column: str, subject: str, since: datetime) -> Attempts:
    row = await connection.fetchrow(
        f"SELECT count(*) AS attempts, max(at) AS last_at FROM sign_in_attempt WHERE {column} = $1 AND at > $2",
        subject,
        since,
    )
    assert row is not None
    return Attempts(row["attempts"], row["last_at"])


async def forget_attempts(connection: Connection, account_hash: str) -> None:
    """Forget the attempts on an account: its owner is in."""
    await connection.execute("DELETE FROM sign_in_attempt WHERE account_hash = $1", account_hash)


async def delete_old_attempts(connection: Connection, now: datetime) -> None:
    """Delete the attempts that no limit remembers."""
    await connection.execute("DELETE FROM sign_in_attempt WHERE at <= $1", now - KEPT_FOR)
