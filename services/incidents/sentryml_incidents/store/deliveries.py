"""Deliveries as the notifier has published them: of each the newest revision."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, values_of
from sentryml_incidents.domain.overview import LiveGroup

_NAMES = ("delivery_id", "revision", "transition_id", "incident_id", "model_id", "sequence", "state", "group_id")
BEFORE_ALL = (0, UUID(int=0))
"""The place in an incident's list before its first delivery."""

LEAST_IN_GROUP = 3
"""On channels that no people read every incident has a group, of which it may be the only one."""


async def save_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Keep deliveries, each given once; of one that is known with this revision or a higher one nothing changes.

    In the order of ids, so that two who write the same never wait in a circle.
    """
    await connection.executemany(
        f"""
        {insert_into("delivery", (*_NAMES, "message"))}
        ON CONFLICT (delivery_id) DO UPDATE
           SET revision = excluded.revision, state = excluded.state, message = excluded.message,
               group_id = excluded.group_id
         WHERE delivery.revision < excluded.revision
        """,
        [[*values_of(each, _NAMES), each] for each in sorted(deliveries, key=lambda each: each.delivery_id)],
    )


async def list_deliveries(
    connection: Connection, incident_id: UUID, after: tuple[int, UUID] = BEFORE_ALL, limit: int | None = None
) -> list[Delivery]:
    """An incident's deliveries by (sequence of their transition, id), from after `after` on."""
    rows = await connection.fetch(
        """
        SELECT message
          FROM delivery
         WHERE incident_id = $1 AND (sequence, delivery_id) > ($2::bigint, $3::uuid)
         ORDER BY sequence, delivery_id
         LIMIT $4
        """,
        incident_id,
        *after,
        limit,
    )
    return [Delivery.model_validate(row["message"]) for row in rows]


async def find_group(connection: Connection, incident_id: UUID) -> tuple[UUID, int] | None:
    """(the alert group that an incident was in last, the number of its incidents): of several channels the largest.
    None if it alerted alone."""
    row = await connection.fetchrow(
        """
        SELECT group_id, count(DISTINCT incident_id) AS incidents
          FROM delivery
         WHERE group_id IN (SELECT group_id FROM delivery WHERE incident_id = $1)
         GROUP BY group_id
        HAVING count(DISTINCT incident_id) >= $2
         ORDER BY max(sequence) FILTER (WHERE incident_id = $1) DESC, incidents DESC, group_id
         LIMIT 1
        """,
        incident_id,
        LEAST_IN_GROUP,
    )
    return (row["group_id"], row["incidents"]) if row else None


async def list_live_groups(connection: Connection) -> list[LiveGroup]:
    """The alert groups that are not over: of one with a single live incident that incident says enough."""
    rows = await connection.fetch(
        """
        WITH member AS (
            SELECT group_id, incident_id, max((message ->> 'group_number')::bigint) AS number
              FROM delivery
             WHERE group_id IN (SELECT group_id
                                  FROM delivery
                                  JOIN incident USING (incident_id)
                                 WHERE incident.state IN ('open', 'acknowledged') AND group_id IS NOT NULL)
             GROUP BY group_id, incident_id
        )
        SELECT group_id, max(number) AS number, count(*) AS incidents, min(opened_at) AS since,
               array_agg(incident_id ORDER BY severity, peak_psi DESC, incident_number)
                 FILTER (WHERE state IN ('open', 'acknowledged')) AS live,
               count(*) FILTER (WHERE state IN ('open', 'acknowledged') AND silence ->> 'since' IS NOT NULL) AS silent,
               count(*) FILTER (WHERE state = 'open') AS open,
               count(*) FILTER (WHERE state IN ('open', 'acknowledged') AND severity = 'critical') AS critical
          FROM member
          JOIN incident USING (incident_id)
          LEFT JOIN monitor USING (model_id)
         GROUP BY group_id
        HAVING count(*) >= $1 AND count(*) FILTER (WHERE state IN ('open', 'acknowledged')) > 1
        """,
        LEAST_IN_GROUP,
    )
    return [LiveGroup(**row) for row in rows]


async def any_delivered(connection: Connection) -> bool:
    """Whether any alert was ever delivered."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM delivery WHERE state = 'delivered')"))


async def count_undeliverable(connection: Connection) -> tuple[int, int]:
    """(messages that are undeliverable, incidents that they are about)."""
    row = await connection.fetchrow(
        "SELECT count(*) AS messages, count(DISTINCT incident_id) AS incidents FROM delivery WHERE state = 'parked'"
    )
    assert row is not None
    return row["messages"], row["incidents"]
