"""What open pages have to know once a second: which sessions are over, and which models were active."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.sessions import IDLE


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


async def read_activity_times(connection: Connection, model_ids: Collection[str]) -> dict[str, datetime]:
    """When each model reported last."""
    rows = await connection.fetch(
        "SELECT model_id, at FROM activity WHERE model_id = ANY ($1::text[])", list(model_ids)
    )
    return {row["model_id"]: row["at"] for row in rows}


async def newest_activity(connection: Connection) -> datetime | None:
    """When any model reported last."""
    newest: datetime | None = await connection.fetchval("SELECT max(at) FROM activity")
    return newest
