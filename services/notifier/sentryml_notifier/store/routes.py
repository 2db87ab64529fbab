"""Routes: which transitions go to which channels. A route is marked when it is deleted: its deliveries name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from uuid import UUID

import asyncpg

from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.holding.schedule import HoldSchedule, Weekly
from sentryml_notifier.domain.holding.written import read_hours, read_weekly, read_window
from sentryml_notifier.domain.message import Presentation
from sentryml_notifier.domain.routing import QUIET_KINDS, Route


@dataclass(frozen=True)
class StoredRoute:
    """A route as people see it: `hold_hours` and `hold_windows` as they wrote them."""

    route_id: UUID
    name: str
    channel_id: UUID
    model_patterns: Sequence[str]
    least_severity: str
    kinds: Sequence[str]
    enabled: bool
    remind_after_seconds: int | None
    remind_times: int
    remind_acknowledged_after_seconds: int | None
    system: bool
    time_zone: str
    hold_hours: Sequence[str]
    hold_windows: Sequence[str]
    hold_critical: bool
    slack_group_warn: str | None
    slack_group_critical: str | None
    weekly_summary: str | None
    weekly_since: datetime | None
    version: int
    created_at: datetime
    channel: str
    channel_kind: str
    weekly_last_at: datetime | None = None
    weekly_last_text: str | None = None

    @cached_property
    def route(self) -> Route:
        """What of it decides where transitions go."""
        hours, windows = tuple(map(read_hours, self.hold_hours)), tuple(map(read_window, self.hold_windows))
        return Route(
            self.route_id,
            self.channel_id,
            tuple(self.model_patterns),
            Severity(self.least_severity),
            frozenset(map(TransitionKind, self.kinds)),
            self.enabled,
            QUIET_KINDS.get(self.channel_kind, frozenset()),
            HoldSchedule(self.time_zone, hours, windows, self.hold_critical),
        )

    @property
    def weekly(self) -> Weekly | None:
        """When its weekly summary is sent; None if it has none."""
        return read_weekly(self.weekly_summary) if self.weekly_summary else None


COLUMNS = tuple(
    each.name
    for each in fields(StoredRoute)
    if each.name not in ("channel", "channel_kind", "weekly_last_at", "weekly_last_text")
)
"""What is stored with the route itself."""


async def list_stored_routes(connection: Connection, route_id: UUID | None = None) -> list[StoredRoute]:
    """The routes that are not deleted, in the order in which they are asked; or the one with `route_id`."""
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(f"r.{name}" for name in COLUMNS)}, c.name AS channel, c.kind AS channel_kind,
               newest.ends_at AS weekly_last_at, newest.last_text AS weekly_last_text
          FROM route AS r
          JOIN channel AS c USING (channel_id)
          LEFT JOIN LATERAL (
            SELECT ends_at, last_text FROM weekly_summary AS w
             WHERE w.route_id = r.route_id
             ORDER BY ends_at DESC
             LIMIT 1) AS newest ON true
         WHERE r.deleted_at IS NULL AND ($1::uuid IS NULL OR r.route_id = $1)
         ORDER BY r.name
        """,
        route_id,
    )
    return [StoredRoute(**dict(row.items())) for row in rows]


async def list_routes(connection: Connection) -> list[Route]:
    """The same, as far as it decides what they take."""
    return [each.route for each in await list_stored_routes(connection)]


async def keep_routes(connection: Connection) -> list[Route]:
    """The same, none of which changes until the transaction ends: who changes one, then finds all that it has taken."""
    await connection.execute("SELECT FROM route WHERE deleted_at IS NULL ORDER BY route_id FOR SHARE")
    return await list_routes(connection)


async def find_presentation(connection: Connection, delivery_id: UUID) -> Presentation:
    """How the route of a delivery wants its messages."""
    row = await connection.fetchrow(
        """
        SELECT r.time_zone, r.slack_group_warn, r.slack_group_critical
          FROM delivery AS d JOIN route AS r USING (route_id)
         WHERE d.delivery_id = $1
        """,
        delivery_id,
    )
    return Presentation(**dict(row.items())) if row else Presentation()


async def lock_route(connection: Connection, route_id: UUID) -> StoredRoute | None:
    """A route, locked until the transaction ends."""
    await connection.execute("SELECT true FROM route WHERE route_id = $1 FOR NO KEY UPDATE", route_id)
    found = await list_stored_routes(connection, route_id)
    return found[0] if found else None


async def keep_channel(connection: Connection, channel_id: UUID) -> asyncpg.Record | None:
    """Name and kind of a channel that stays until the transaction ends; None if there is none."""
    return await connection.fetchrow(
        "SELECT name, kind FROM channel WHERE channel_id = $1 AND deleted_at IS NULL FOR SHARE", channel_id
    )


async def save_route(connection: Connection, stored: StoredRoute) -> None:
    """Keep a new route, or a changed one.

    Raises:
        UniqueViolationError: another one has its name.
    """
    # Not the key: who refers to the route need not wait.
    _, *changing = COLUMNS
    await connection.execute(
        f"""
        INSERT INTO route ({", ".join(COLUMNS)})
        VALUES ({", ".join(f"${place}" for place in range(1, len(COLUMNS) + 1))})
            ON CONFLICT (route_id) DO UPDATE
           SET ({", ".join(changing)}) = ROW ({", ".join(f"excluded.{name}" for name in changing)})
        """,
        *(getattr(stored, name) for name in COLUMNS),
    )


async def takes_system_alerts(connection: Connection, but: UUID | None = None) -> bool:
    """Whether a route takes system alerts, besides one that is left aside."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT true FROM route WHERE system AND deleted_at IS NULL AND route_id IS DISTINCT FROM $1)",
        but,
    )
    return found


async def delete_route(connection: Connection, route_id: UUID, now: datetime) -> None:
    """Mark a route as deleted."""
    await connection.execute("UPDATE route SET deleted_at = $2 WHERE route_id = $1", route_id, now)


async def enter_first_route(connection: Connection, name: str, channel_id: UUID) -> None:
    """Make a route of all models to a new channel, called like it if that name is free. The first route of all takes
    system alerts."""
    await connection.execute(
        """
        INSERT INTO route (system, name, channel_id)
        SELECT NOT EXISTS (SELECT true FROM route WHERE system AND deleted_at IS NULL),
               CASE WHEN EXISTS (SELECT true FROM route WHERE name = $1::text AND deleted_at IS NULL)
                    THEN $1 || ' ' || left($2::uuid::text, 8) ELSE $1 END, $2
        """,
        name, channel_id,
    )  # fmt: skip
