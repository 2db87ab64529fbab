"""Changes: only ever added, and read newest first."""

from __future__ import annotations

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.change import Change


async def insert_change(connection: Connection, change: Change) -> None:
    """Write down what was done, in the transaction that does it."""
    await connection.execute(
        """
        INSERT INTO change (at, actor, action, subject_id, subject, words) VALUES ($1, $2, $3, $4, $5, $6)
        """,
        change.at, change.actor.model_dump(mode="json"), change.action.value, change.subject_id, change.subject,
        change.words,
    )  # fmt: skip


async def list_changes(connection: Connection, before: int | None, limit: int) -> list[asyncpg.Record]:
    """The newest changes, from below `before` on."""
    return await connection.fetch(
        """
        SELECT change_id, at, actor, action, subject_id, subject, words
          FROM change
         WHERE $1::bigint IS NULL OR change_id < $1
         ORDER BY change_id DESC
         LIMIT $2
        """,
        before, limit,
    )  # fmt: skip
