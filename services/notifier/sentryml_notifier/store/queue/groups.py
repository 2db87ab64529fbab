"""Alert groups: forming them, who belongs to them, and holding what waits for company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.grouping import About, AlertGroup, Company
from sentryml_notifier.domain.routing import CLOSING
from sentryml_notifier.domain.story_text import LIVE

COLUMNS = """
    g.group_id, g.group_number, g.began_at, g.closes_at, g.critical, g.reported_at, g.hurried_at, g.ends_reported_at
"""
MEMBERS = """
    SELECT m.incident_id, m.created_at,
           (SELECT to_state FROM transition AS t
             WHERE t.incident_id = m.incident_id ORDER BY t.sequence DESC LIMIT 1) AS state
      FROM delivery AS m
     WHERE m.group_id = $1 AND m.opens
       AND NOT EXISTS (SELECT FROM delivery AS newer
                        WHERE newer.incident_id = m.incident_id AND newer.channel_id = m.channel_id
                          AND newer.sequence > m.sequence AND newer.opens)
"""
"""The incidents of the group $1, but for those that have reopened since."""


async def find_own_group(connection: Connection, channel_id: UUID, incident_id: UUID) -> AlertGroup | None:
    """The group that an incident opened in, the last time, on a channel."""
    row = await connection.fetchrow(
        f"""
        SELECT {COLUMNS}
          FROM (SELECT group_id FROM delivery
                 WHERE channel_id = $1 AND incident_id = $2 AND opens
                 ORDER BY sequence DESC
                 LIMIT 1) AS opening
          JOIN alert_group AS g USING (group_id)
        """,
        channel_id, incident_id,
    )  # fmt: skip
    return _group_of(row)


async def find_open_group(connection: Connection, channel_id: UUID, at: datetime) -> AlertGroup | None:
    """The group that incidents join which opened at a time."""
    row = await connection.fetchrow(
        f"""
        SELECT {COLUMNS} FROM alert_group AS g
         WHERE g.channel_id = $1 AND g.closes_at > $2
         ORDER BY g.closes_at DESC
         LIMIT 1
        """,
        channel_id, at,
    )  # fmt: skip
    return _group_of(row)


def _group_of(row: asyncpg.Record | None) -> AlertGroup | None:
    return AlertGroup(**dict(row.items())) if row else None


async def count_opened(connection: Connection, channel_id: UUID, since: datetime) -> int:
    """How many incidents wait to be opened on a channel, or have been since."""
    found: int = await connection.fetchval(
        """
        SELECT count(DISTINCT incident_id) FROM delivery
         WHERE channel_id = $1 AND opens AND held_until IS NULL
           AND (created_at > $2 OR state IN ('pending', 'sending'))
        """,
        channel_id, since,
    )  # fmt: skip
    return found


async def form_group(connection: Connection, channel_id: UUID, since: datetime, closes_at: datetime) -> AlertGroup:
    """Make a group of what waits to be opened on a channel, and of what has been since and is live."""
    row = await connection.fetchrow(
        f"""
        WITH members AS (
            SELECT delivery_id, created_at FROM delivery AS d
             WHERE channel_id = $1 AND opens AND group_id IS NULL AND held_until IS NULL
               AND (state IN ('pending', 'sending') OR (created_at > $2 AND (
                    SELECT to_state FROM transition AS t
                     WHERE t.incident_id = d.incident_id ORDER BY t.sequence DESC LIMIT 1) = ANY ($3)))
        ), g AS (
            INSERT INTO alert_group (channel_id, began_at, closes_at)
            SELECT $1, min(created_at), $4 FROM members
            RETURNING *
        ), joined AS (
            UPDATE delivery SET group_id = g.group_id FROM g WHERE delivery_id IN (SELECT delivery_id FROM members)
        )
        SELECT {COLUMNS} FROM g
        """,
        channel_id, since, list(LIVE), closes_at,
    )  # fmt: skip
    group = _group_of(row)
    assert group is not None
    return group


async def find_group_of_summary(connection: Connection, delivery_ids: Sequence[UUID]) -> AlertGroup | None:
    """The group that an earlier attempt at a summary has made of what it covers."""
    row = await connection.fetchrow(
        f"""
        SELECT {COLUMNS} FROM alert_group AS g
         WHERE g.held AND g.group_id IN (SELECT group_id FROM delivery WHERE delivery_id = ANY ($1))
         ORDER BY g.closes_at
         LIMIT 1
        """,
        delivery_ids,
    )
    return _group_of(row)


async def make_group_of_summary(
    connection: Connection, channel_id: UUID, began_at: datetime, now: datetime
) -> AlertGroup:  # fmt: skip
    """A group of what was held: reported now, and closed."""
    row = await connection.fetchrow(
        f"""
        WITH g AS (
            INSERT INTO alert_group (channel_id, began_at, closes_at, reported_at, held) VALUES ($1, $2, $3, $3, true)
            RETURNING *
        )
        SELECT {COLUMNS} FROM g
        """,
        channel_id, began_at, now,
    )  # fmt: skip
    group = _group_of(row)
    assert group is not None
    return group


async def read_company(connection: Connection, channel_id: UUID, group: AlertGroup) -> Company:
    """What a group's ends depend on."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) FILTER (WHERE state = ANY ($2)) AS live,
               (SELECT min(d.created_at) FROM delivery AS d
                 WHERE d.channel_id = $3 AND d.state <> 'delivered' AND d.kind = ANY ($4)
                   AND d.incident_id IN (SELECT incident_id FROM delivery WHERE group_id = $1)) AS first_end_at
          FROM ({MEMBERS}) AS members
        """,
        group.group_id, list(LIVE), channel_id, list(CLOSING),
    )  # fmt: skip
    assert row is not None
    return Company(live=row["live"], first_end_at=row["first_end_at"])


async def list_members(connection: Connection, group: AlertGroup) -> dict[UUID, bool]:
    """The incidents of a group, and whether each is live; not those that have reopened since, outside of it."""
    rows = await connection.fetch(MEMBERS, group.group_id)
    return {row["incident_id"]: row["state"] in LIVE for row in rows}


async def count_members(connection: Connection, group: AlertGroup, reported: Sequence[UUID]) -> int:
    """The incidents that opened in a group, as far as they were reported before or are now."""
    found: int = await connection.fetchval(
        """
        SELECT count(DISTINCT incident_id) FROM delivery
         WHERE group_id = $1 AND opens AND (state = 'delivered' OR incident_id = ANY ($2))
        """,
        group.group_id, reported,
    )  # fmt: skip
    return found


async def hold(connection: Connection, delivery_ids: Sequence[UUID], group: AlertGroup, until: datetime) -> None:
    """Let deliveries of a group wait."""
    await connection.execute(
        "UPDATE delivery SET group_id = $2, due_at = greatest($3, held_until)"
        " WHERE delivery_id = ANY ($1) AND state = 'pending'",
        delivery_ids, group.group_id, until,
    )  # fmt: skip


async def join(connection: Connection, delivery_ids: Sequence[UUID], group: AlertGroup) -> None:
    """Note with which group deliveries are sent."""
    await connection.execute(
        "UPDATE delivery SET group_id = $2 WHERE delivery_id = ANY ($1) AND group_id IS DISTINCT FROM $2",
        delivery_ids, group.group_id,
    )  # fmt: skip


async def join_waiting(connection: Connection, channel_id: UUID, group: AlertGroup) -> None:
    """Let all that waits to be opened on a channel, and came before a group closed, join it."""
    await connection.execute(
        """
        UPDATE delivery SET group_id = $2
         WHERE channel_id = $1 AND opens AND group_id IS NULL AND state = 'pending' AND created_at < $3
           AND held_until IS NULL
        """,
        channel_id, group.group_id, group.closes_at,
    )  # fmt: skip


async def note_report(
    connection: Connection, group: AlertGroup, about: About, now: datetime, *, critical: bool, hurried: bool
) -> None:
    """Note that a group is reported."""
    await connection.execute(
        """
        UPDATE alert_group
           SET critical = critical OR $3,
               reported_at = CASE WHEN $6 THEN $2 ELSE reported_at END,
               hurried_at = CASE WHEN $4 THEN $2 ELSE hurried_at END,
               ends_reported_at = CASE WHEN $5 THEN $2 ELSE ends_reported_at END
         WHERE group_id = $1
        """,
        group.group_id, now, critical, hurried, about is About.END, about is About.ALERT,
    )  # fmt: skip


async def group_for_machines(
    connection: Connection, channel_id: UUID, incident_id: UUID, window: timedelta, now: datetime
) -> UUID | None:
    """The group of an incident on a channel that no people read: known from its first incident on, since nothing waits
    there. None if it is not known when the incident opened."""
    opening = await connection.fetchrow(
        """
        SELECT delivery_id, group_id FROM delivery
         WHERE channel_id = $1 AND incident_id = $2 AND opens
         ORDER BY sequence DESC
         LIMIT 1
        """,
        channel_id, incident_id,
    )  # fmt: skip
    if opening is None:
        return None
    known: UUID | None = opening["group_id"]
    if known is not None:
        return known
    group_id: UUID = await connection.fetchval(
        """
        WITH known AS (
            SELECT group_id FROM alert_group WHERE channel_id = $1 AND closes_at > $2 LIMIT 1
        ), made AS (
            INSERT INTO alert_group (channel_id, began_at, closes_at)
            SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM known)
            RETURNING group_id
        )
        UPDATE delivery SET group_id = coalesce((SELECT group_id FROM known), (SELECT group_id FROM made))
         WHERE delivery_id = $4
        RETURNING group_id
        """,
        channel_id, now, now + window, opening["delivery_id"],
    )  # fmt: skip
    return group_id
