"""Attempts to sign in that have not led in, and the browsers that are known. An attempt is written down before its
password is checked, so that many at once are counted like many in a row."""

from __future__ import annotations

from datetime import datetime, timedelta

from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.throttle import (
    ATTEMPTS_KEPT_FOR,
    BY_ACCOUNT,
    BY_ACCOUNT_AND_NETWORK,
    BY_BROWSER,
    BY_NETWORK,
    KNOWN_FOR,
    Attempt,
    Attempts,
    Limit,
    wait_of,
)

ACCOUNT_LOCKS, NETWORK_LOCKS = 7_153_012, 7_153_013


async def take_attempt(connection: Connection, attempt: Attempt, now: datetime) -> timedelta:
    """Write an attempt down; or say how long to wait before one may be made."""
    await _lock(connection, ACCOUNT_LOCKS, attempt.account_hash)
    known = await _knows(connection, "browser_hash", attempt.browser_hash, attempt, now)
    wait = await (_wait_of_known(connection, attempt, now) if known else _wait_of_others(connection, attempt, now))
    if not wait:
        await connection.execute(
            "INSERT INTO sign_in_attempt (account_hash, network, browser_hash, at) VALUES ($1, $2, $3, $4)",
            attempt.account_hash,
            attempt.network,
            attempt.browser_hash if known else None,
            now,
        )
    return wait


async def _wait_of_known(connection: Connection, attempt: Attempt, now: datetime) -> timedelta:
    where = "account_hash = $2 AND browser_hash = $3"
    return await _wait(connection, BY_BROWSER, now, where, attempt.account_hash, attempt.browser_hash)


async def _wait_of_others(connection: Connection, attempt: Attempt, now: datetime) -> timedelta:
    account, network = attempt.account_hash, attempt.network
    await _lock(connection, NETWORK_LOCKS, network)
    others = "browser_hash IS NULL"
    waits = [
        await _wait(
            connection,
            BY_ACCOUNT_AND_NETWORK,
            now,
            f"account_hash = $2 AND network = $3 AND {others}",
            account,
            network,
        ),
        await _wait(connection, BY_NETWORK, now, f"network = $2 AND {others}", network),
    ]
    if not await _knows(connection, "network", network, attempt, now):
        waits.append(await _wait(connection, BY_ACCOUNT, now, f"account_hash = $2 AND {others}", account))
    return max(waits)


async def _lock(connection: Connection, locks: int, subject: str) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", locks, subject)


async def _wait(connection: Connection, limit: Limit, now: datetime, where: str, *subject: str | None) -> timedelta:
    row = await connection.fetchrow(
        f"SELECT count(*) AS attempts, max(at) AS last_at FROM sign_in_attempt WHERE at > $1 AND {where}",
        now - limit.memory,
        *subject,
    )
    assert row is not None
    return wait_of(limit, Attempts(row["attempts"], row["last_at"]), now)


async def _knows(connection: Connection, column: str, value: str | None, attempt: Attempt, now: datetime) -> bool:
    """Whether the account's owner has signed in there: in that browser, or from that network."""
    return value is not None and bool(
        await connection.fetchval(
            f"SELECT TRUE FROM known_browser WHERE account_hash = $1 AND {column} = $2 AND signed_in_at > $3 LIMIT 1",
            attempt.account_hash,
            value,
            now - KNOWN_FOR,
        )
    )


async def remember_browser(connection: Connection, attempt: Attempt, new_hash: str, now: datetime) -> None:
    """Know the browser, in which the account's owner has just signed in, by `new_hash` from now on; its former cookie
    is no longer good. Forget the attempts that were its owner's."""
    await connection.execute(
        """
        DELETE FROM sign_in_attempt
         WHERE account_hash = $1 AND (browser_hash = $2 OR browser_hash IS NULL AND network = $3)
        """,
        attempt.account_hash,
        attempt.browser_hash,
        attempt.network,
    )
    await connection.execute(
        "UPDATE known_browser SET browser_hash = $2 WHERE browser_hash = $1", attempt.browser_hash, new_hash
    )
    await connection.execute(
        """
        INSERT INTO known_browser (browser_hash, account_hash, network, signed_in_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (browser_hash, account_hash)
                 DO UPDATE SET network = excluded.network, signed_in_at = excluded.signed_in_at
        """,
        new_hash,
        attempt.account_hash,
        attempt.network,
        now,
    )


async def forget_attempts(connection: Connection, account_hash: str) -> None:
    """Forget the attempts on an account: its password is another one now."""
    await connection.execute("DELETE FROM sign_in_attempt WHERE account_hash = $1", account_hash)


async def delete_old_attempts(connection: Connection, now: datetime) -> None:
    """Delete the attempts that no limit remembers, and the browsers that are no longer known."""
    await connection.execute("DELETE FROM sign_in_attempt WHERE at <= $1", now - ATTEMPTS_KEPT_FOR)
    await connection.execute("DELETE FROM known_browser WHERE signed_in_at <= $1", now - KNOWN_FOR)
