"""Trying a delivery again now, because somebody has asked for it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.store.channels import lock_channel


async def lock_delivery(connection: Connection, delivery_id: UUID) -> asyncpg.Record | None:
    """A delivery with its model and its channel's state, locked after the channel."""
    channel_id = await connection.fetchval("SELECT channel_id FROM delivery WHERE delivery_id = $1", delivery_id)
    if channel_id is None:
        return None
    await lock_channel(connection, channel_id)
    return await connection.fetchrow(
        """
        SELECT d.delivery_id, d.channel_id, d.incident_id, d.sequence, d.state, d.parked_because, d.delivered_at,
               t.model_id, t.incident_number, c.state AS channel_state
          FROM delivery AS d
          JOIN transition AS t USING (transition_id)
          JOIN channel AS c USING (channel_id)
         WHERE d.delivery_id = $1
           FOR UPDATE OF d
        """,
        delivery_id,
    )


async def make_due(connection: Connection, row: asyncpg.Record, now: datetime) -> None:
    """Make it due now, and what goes before it: an incident's messages keep their order."""
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'pending', due_at = $4, held_until = CASE WHEN held_until > $4 THEN $4 ELSE held_until END,
               parked_because = NULL, failures = 0, failing_since = NULL
         WHERE channel_id = $1 AND incident_id = $2 AND sequence <= $3 AND state IN ('pending', 'parked')
           AND (parked_because = ANY ($5)) IS NOT TRUE
        """,
        row["channel_id"], row["incident_id"], row["sequence"], now, OVER,
    )  # fmt: skip
