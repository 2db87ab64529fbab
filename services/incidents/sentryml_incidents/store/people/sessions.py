"""Sessions of people, by the hash of their secret."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of
from sentryml_incidents.domain.sessions import IDLE, Session
from sentryml_incidents.store.people.users import USER_COLUMNS, User, user_of

_NAMES: Final = names_of(Session)
SESSION_COLUMNS: Final = ", ".join(f"session.{name}" for name in _NAMES)
_session_of = reader_of(Session)


async def insert_session(connection: Connection, session: Session) -> None:
    """Begin a session."""
    await connection.execute(insert_into("session", _NAMES), *values_of(session, _NAMES))


async def find_session(connection: Connection, session_hash: str) -> tuple[Session, User] | None:
    """A session, perhaps one that is over, and whose it is; None for people whose account is disabled."""
    row = await connection.fetchrow(
        f"""
        SELECT {SESSION_COLUMNS}, {USER_COLUMNS}
          FROM session
          JOIN app_user USING (user_id)
         WHERE session_hash = $1 AND disabled_at IS NULL
        """,
        session_hash,
    )
    return (_session_of(row), user_of(row)) if row else None


async def mark_seen(connection: Connection, session_hash: str, now: datetime) -> None:
    """Write down that a session is used."""
    await connection.execute("UPDATE session SET last_seen_at = $2 WHERE session_hash = $1", session_hash, now)


async def list_sessions(connection: Connection, user_id: UUID) -> list[Session]:
    """A person's sessions, the one used last first."""
    rows = await connection.fetch(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE user_id = $1 ORDER BY last_seen_at DESC, session_hash", user_id
    )
    return [_session_of(row) for row in rows]


async def end_session(connection: Connection, session_hash: str) -> None:
    """End the session of who has shown its secret."""
    await connection.execute("DELETE FROM session WHERE session_hash = $1", session_hash)


async def revoke_session(connection: Connection, user_id: UUID, session_hash: str) -> None:
    """End one of a person's own sessions."""
    await connection.execute("DELETE FROM session WHERE user_id = $1 AND session_hash = $2", user_id, session_hash)


async def revoke_sessions(connection: Connection, user_id: UUID, keep: str | None = None) -> None:
    """End all sessions of a person, but the one to keep."""
    await connection.execute(
        "DELETE FROM session WHERE user_id = $1 AND session_hash IS DISTINCT FROM $2", user_id, keep
    )


async def delete_old_sessions(connection: Connection, now: datetime) -> None:
    """Delete what opens nothing any more."""
    await connection.execute("DELETE FROM session WHERE expires_at <= $1 OR last_seen_at <= $2", now, now - IDLE)


async def find_over_sessions(connection: Connection, session_hashes: Collection[str], now: datetime) -> set[str]:
    """Those of `session_hashes` that open nothing any more: ended, too old, or of an account that is kept out."""
    rows = await connection.fetch(
        """
        SELECT session_hash
          FROM session
          JOIN app_user USING (user_id)
         WHERE session_hash = ANY ($1::text[]) AND expires_at > $2 AND last_seen_at > $3 AND disabled_at IS NULL
        """,
        list(session_hashes),
        now,
        now - IDLE,
    )
    return set(session_hashes) - {row["session_hash"] for row in rows}
