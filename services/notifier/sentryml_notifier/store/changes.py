"""Changes: only ever added, and read newest first."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.change import Change


async def insert_change(connection: Connection, change: Change) -> None:
    """Write down what was done, in the transaction that does it."""
    await connection.execute(
        """
        INSERT INTO change (at, actor, action, subject_id, subject, text) VALUES ($1, $2, $3, $4, $5, $6)
        """,
        change.at, change.actor.model_dump(mode="json"), change.action.value, change.subject_id, change.subject,
        change.text,
    )  # fmt: skip


async def list_changes(
    connection: Connection, before: int | None, limit: int, patterns: Sequence[str] = ()
) -> list[asyncpg.Record]:
    """The newest changes, from below `before` on. `patterns` are those of the models that the asker may see, none means
    every model: what somebody did about an incident of another model is left out."""
    return await connection.fetch(
        """
        SELECT c.change_id, c.at, c.actor, c.action, c.subject_id, c.subject, c.text
          FROM change AS c
         WHERE ($1::bigint IS NULL OR c.change_id < $1)
           AND ($3::text[] IS NULL OR NOT EXISTS (
                SELECT FROM delivery AS d
                  JOIN transition AS t USING (transition_id)
                 WHERE d.delivery_id = c.subject_id AND (t.model_id ~ ANY ($3)) IS NOT TRUE))
         ORDER BY c.change_id DESC
         LIMIT $2
        """,
        before, limit, model_regexes(patterns),
    )  # fmt: skip
