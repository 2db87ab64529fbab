"""Routes: which transitions go to which channels. A route is marked when it is deleted: its deliveries name it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.holding.schedule import HoldSchedule, Weekly
from sentryml_notifier.domain.holding.written import read_hours, read_weekly, read_window
from sentryml_notifier.domain.message import Presentation
from sentryml_notifier.domain.routing import QUIET_KINDS, Route


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """A route as people see it: `hold_hours` and `hold_windows` as they wrote them."""

    route: Route
    name: str
    channel: str
    remind_after_seconds: int | None
    remind_times: int
    system: bool
    remind_acknowledged_after_seconds: int | None
    version: int
    created_at: datetime
    hold_hours: tuple[str, ...] = ()
    hold_windows: tuple[str, ...] = ()
    slack_group_warn: str | None = None
    slack_group_critical: str | None = None
    weekly_summary: str | None = None
    weekly_since: datetime | None = None
    weekly_last_at: datetime | None = None
    weekly_last_text: str | None = None

    @property
    def weekly(self) -> Weekly | None:
        """When its weekly summary is sent; None if it has none."""
        return read_weekly(self.weekly_summary) if self.weekly_summary else None


async def list_stored_routes(connection: Connection, route_id: UUID | None = None) -> list[StoredRoute]:
    """The routes that are not deleted, in the order in which they are asked; or the one with `route_id`."""
    rows = await connection.fetch(
        """
        SELECT r.route_id, r.name, r.channel_id, c.name AS channel, r.model_patterns, r.least_severity, r.kinds,
               r.enabled, r.remind_after_seconds, r.remind_times, r.system, r.remind_acknowledged_after_seconds,
               r.version, r.created_at, r.time_zone, r.hold_hours, r.hold_windows, r.hold_critical,
               r.slack_group_warn, r.slack_group_critical, r.weekly_summary, r.weekly_since,
               c.kind AS channel_kind, newest.ends_at AS weekly_last_at,
               newest.last_text AS weekly_last_text
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
    return [_stored_of(row) for row in rows]


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
    route = stored.route
    await connection.execute(
        """
        INSERT INTO route (route_id, name, channel_id, model_patterns, least_severity, kinds, enabled,
                           remind_after_seconds, remind_times, version, created_at, time_zone, hold_hours,
                           hold_windows, hold_critical, slack_group_warn, slack_group_critical, weekly_summary,
                           weekly_since, system, remind_acknowledged_after_seconds)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            ON CONFLICT (route_id) DO UPDATE
           SET name = excluded.name, channel_id = excluded.channel_id, model_patterns = excluded.model_patterns,
               least_severity = excluded.least_severity, kinds = excluded.kinds, enabled = excluded.enabled,
               remind_after_seconds = excluded.remind_after_seconds, remind_times = excluded.remind_times,
               version = excluded.version, time_zone = excluded.time_zone, hold_hours = excluded.hold_hours,
               hold_windows = excluded.hold_windows, hold_critical = excluded.hold_critical,
               slack_group_warn = excluded.slack_group_warn, slack_group_critical = excluded.slack_group_critical,
               weekly_summary = excluded.weekly_summary, weekly_since = excluded.weekly_since, system = excluded.system,
               remind_acknowledged_after_seconds = excluded.remind_acknowledged_after_seconds
        """,
        route.route_id, stored.name, route.channel_id, list(route.model_patterns), route.least_severity.value,
        sorted(kind.value for kind in route.kinds), route.enabled, stored.remind_after_seconds, stored.remind_times,
        stored.version, stored.created_at, route.hold.time_zone, list(stored.hold_hours), list(stored.hold_windows),
        route.hold.holds_critical, stored.slack_group_warn, stored.slack_group_critical,
        stored.weekly_summary, stored.weekly_since, stored.system, stored.remind_acknowledged_after_seconds,
    )  # fmt: skip


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


def _stored_of(row: asyncpg.Record) -> StoredRoute:
    route = Route(
        row["route_id"],
        row["channel_id"],
        tuple(row["model_patterns"]),
        Severity(row["least_severity"]),
        frozenset(map(TransitionKind, row["kinds"])),
        row["enabled"],
        QUIET_KINDS.get(row["channel_kind"], frozenset()),
        HoldSchedule(
            row["time_zone"],
            tuple(map(read_hours, row["hold_hours"])),
            tuple(map(read_window, row["hold_windows"])),
            row["hold_critical"],
        ),
    )
    return StoredRoute(
        route,
        row["name"],
        row["channel"],
        row["remind_after_seconds"],
        row["remind_times"],
        row["system"],
        row["remind_acknowledged_after_seconds"],
        row["version"],
        row["created_at"],
        tuple(row["hold_hours"]),
        tuple(row["hold_windows"]),
        row["slack_group_warn"],
        row["slack_group_critical"],
        row["weekly_summary"],
        row["weekly_since"],
        row["weekly_last_at"],
        row["weekly_last_text"],
    )
