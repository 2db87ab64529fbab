"""Reading the ledger: deliveries with their attempts, channels with their trouble, and how much waits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection


async def list_deliveries(
    connection: Connection, *, state: str | None, incident_id: UUID | None, models: tuple[str, ...], limit: int
) -> list[asyncpg.Record]:
    """The newest deliveries about models that match `models`, with their attempts oldest first."""
    return await connection.fetch(
        """
        SELECT d.delivery_id, d.transition_id, d.incident_id, t.model_id, t.incident_number, d.sequence, d.kind,
               c.name AS channel, r.name AS route, d.state, d.due_at, d.parked_because, d.last_words, d.created_at,
               d.delivered_at,
               coalesce(jsonb_agg(jsonb_build_object('at', a.at, 'send_id', a.send_id, 'outcome', a.outcome,
                                                     'reason', a.reason, 'words', a.words,
                                                     'http_status', a.http_status)
                                  ORDER BY a.attempt_id) FILTER (WHERE a.attempt_id IS NOT NULL), '[]') AS attempts
          FROM delivery AS d
          JOIN transition AS t USING (transition_id)
          JOIN channel AS c USING (channel_id)
          JOIN route AS r USING (route_id)
          LEFT JOIN attempt AS a USING (delivery_id)
         WHERE ($1::text IS NULL OR d.state = $1) AND ($2::uuid IS NULL OR d.incident_id = $2)
           AND ($3::text[] IS NULL OR t.model_id ~ ANY ($3))
         GROUP BY d.delivery_id, t.transition_id, c.channel_id, r.route_id
         ORDER BY d.created_at DESC, d.sequence DESC, d.delivery_id
         LIMIT $4
        """,
        state, incident_id, model_regexes(models), limit,
    )  # fmt: skip


async def list_channels(connection: Connection) -> list[asyncpg.Record]:
    """All channels, and how many deliveries wait or are parked on each. A secret is not among the columns."""
    return await connection.fetch(
        """
        SELECT c.channel_id, c.name, c.kind, c.secret_setting, c.state, c.broken_words, c.paused_until,
               count(d.delivery_id) FILTER (WHERE d.state IN ('pending', 'sending')) AS waiting,
               count(d.delivery_id) FILTER (WHERE d.state = 'parked') AS parked,
               min(d.created_at) AS oldest_at
          FROM channel AS c
          LEFT JOIN delivery AS d ON d.channel_id = c.channel_id AND d.state <> 'delivered'
         GROUP BY c.channel_id
         ORDER BY c.name
        """
    )


def age_seconds(since: datetime | None, now: datetime) -> float:
    """Seconds from `since` to `now`; 0 if there is no `since`."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
