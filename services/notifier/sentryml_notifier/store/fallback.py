"""Fallback: while a channel is broken, another one receives what is parked on it.

No channel gets a transition twice, so fallbacks may form a ring: a message is passed on until a channel works. If none
does, all show what is parked, and the first that is fixed sends it.

What the fallback has delivered is repeated on the fixed channel only if it still matters: a live incident is sent in
its current state, one that is over is settled without another message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.domain.message import Fallback

DELIVERED_ELSEWHERE = (
    "Not repeated here: the fallback delivered it while this channel was broken, and the incident is over."
)


async def set_fallback(connection: Connection, channel_id: UUID, fallback_channel_id: UUID | None) -> None:
    """Set the channel that receives alerts while this one is broken, or None. It cannot be the channel itself."""
    await connection.execute(
        "UPDATE channel SET fallback_channel_id = $2, version = version + 1 WHERE channel_id = $1",
        channel_id,
        fallback_channel_id,
    )


async def find_fallback(connection: Connection, channel_id: UUID) -> UUID | None:
    """The channel that receives alerts while another is broken."""
    found: UUID | None = await connection.fetchval(
        "SELECT fallback_channel_id FROM channel WHERE channel_id = $1", channel_id
    )
    return found


async def hand_over(connection: Connection, now: datetime) -> int:
    """Hand what is parked on broken channels to their fallbacks; return how many deliveries that are.

    The share locks keep these channels as they are until this is committed: nothing slips in while one is being parked.
    """
    concerned = await connection.fetch(
        """
        SELECT DISTINCT unnest(ARRAY[channel_id, fallback_channel_id]) AS channel_id FROM channel
         WHERE state = 'broken' AND fallback_channel_id IS NOT NULL
        """
    )
    if not concerned:
        return 0
    await connection.execute(
        "SELECT FROM channel WHERE channel_id = ANY ($1) ORDER BY channel_id FOR SHARE",
        [row["channel_id"] for row in concerned],
    )
    status = await connection.execute(
        """
        INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind, urgency,
                              due_at, created_at, state, parked_because, last_text, was_undeliverable, instead_of,
                              opens)
        SELECT gen_random_uuid(), d.transition_id, d.route_id, other.channel_id, d.incident_id, d.sequence, d.kind,
               d.urgency, $1, d.created_at, CASE other.state WHEN 'broken' THEN 'parked' ELSE 'pending' END,
               CASE other.state WHEN 'broken' THEN 'channel_broken' END, other.broken_reason, true, d.delivery_id,
               d.opens
          FROM channel AS broken
          JOIN channel AS other ON other.channel_id = broken.fallback_channel_id AND other.deleted_at IS NULL
          JOIN delivery AS d ON d.channel_id = broken.channel_id
         WHERE broken.channel_id = ANY ($2) AND d.reminder = 0
           AND broken.state = 'broken' AND d.state = 'parked' AND d.parked_because = 'channel_broken'
           AND (d.held_until IS NULL OR d.held_until <= $1)
           AND NOT EXISTS (SELECT FROM delivery AS known
                            WHERE known.transition_id = d.transition_id AND known.channel_id = other.channel_id)
            ON CONFLICT DO NOTHING
        """,
        now, [row["channel_id"] for row in concerned],
    )  # fmt: skip
    return int(status.rpartition(" ")[2])


async def settle_delivered_elsewhere(connection: Connection, channel_id: UUID, now: datetime) -> int:
    """Settle what waits on a channel of incidents that are over and that another channel has delivered in full."""
    settled = await connection.fetch(
        """
        WITH waiting AS (
            SELECT d.delivery_id, d.incident_id,
                   d.state <> 'sending' AND EXISTS (
                       SELECT FROM delivery AS done
                        WHERE done.transition_id = d.transition_id AND done.state = 'delivered'
                          AND (done.channel_id = c.fallback_channel_id OR done.delivery_id = d.instead_of)) AS notified
              FROM delivery AS d
              JOIN channel AS c USING (channel_id)
             WHERE d.channel_id = $1 AND d.state <> 'delivered' AND (d.parked_because = ANY ($4)) IS NOT TRUE
        ), over AS (
            SELECT incident_id FROM waiting AS w
             GROUP BY incident_id
            HAVING bool_and(notified)
               AND (SELECT to_state FROM transition AS t
                     WHERE t.incident_id = w.incident_id
                     ORDER BY sequence DESC
                     LIMIT 1) IN ('resolved', 'closed')
        )
        UPDATE delivery
           SET state = 'delivered', delivered_at = $2, parked_because = NULL, last_text = $3
         WHERE delivery_id IN (SELECT delivery_id FROM waiting WHERE incident_id IN (SELECT incident_id FROM over))
        RETURNING delivery_id
        """,
        channel_id, now, DELIVERED_ELSEWHERE, OVER,
    )  # fmt: skip
    await connection.execute(
        """
        INSERT INTO attempt (delivery_id, send_id, at, outcome, reason, text)
        SELECT delivery_id, gen_random_uuid(), $2, 'delivered', 'delivered_elsewhere', $3
          FROM unnest($1::uuid[]) AS delivery_id
        """,
        [row["delivery_id"] for row in settled], now, DELIVERED_ELSEWHERE,
    )  # fmt: skip
    return len(settled)


async def read_fallback(connection: Connection, delivery_ids: Sequence[UUID]) -> Fallback:
    """For which broken channel deliveries are sent, or which fallback has delivered them."""
    row = await connection.fetchrow(
        """
        SELECT max(broken.name) AS instead_of, max(broken.broken_reason) AS because, max(other.name) AS delivered_by
          FROM delivery AS d
          LEFT JOIN delivery AS original ON original.delivery_id = d.instead_of
          LEFT JOIN channel AS broken ON broken.channel_id = original.channel_id
          LEFT JOIN delivery AS done ON done.instead_of = d.delivery_id AND done.state = 'delivered'
          LEFT JOIN channel AS other ON other.channel_id = done.channel_id
         WHERE d.delivery_id = ANY ($1)
        """,
        delivery_ids,
    )
    assert row is not None
    return Fallback(row["instead_of"], row["because"], row["delivered_by"])
