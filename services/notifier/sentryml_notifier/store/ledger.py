"""Reading the ledger: deliveries with their attempts, channels with their trouble, and how much waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER, DeliveryState

DUE_SINCE = """
    CASE WHEN d.attempts = 0 THEN greatest(d.created_at, d.due_at)
         ELSE coalesce((SELECT min(attempt.at) FROM attempt WHERE attempt.delivery_id = d.delivery_id), d.due_at) END
"""
"""Since when the delivery `d` should have been delivered: not while it was held, or waited for its alert group."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list shows; None means all. `since` is about when they were made, `patterns` are those of the
    models that the caller may see; none means every model. `undeliverable`: only those that are parked until their
    cause is fixed."""

    states: tuple[str, ...] | None = None
    incident_id: UUID | None = None
    model_id: str | None = None
    channel: str | None = None
    since: datetime | None = None
    delivery_id: UUID | None = None
    patterns: tuple[str, ...] = ()
    undeliverable: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """After which delivery a page begins."""

    created_at: datetime
    sequence: int
    delivery_id: UUID


async def list_deliveries(
    connection: Connection, requested: DeliveryFilter, after: Position | None, limit: int
) -> list[asyncpg.Record]:
    """The newest deliveries, with their attempts oldest first."""
    where, values = _conditions(requested, after)
    return await connection.fetch(
        f"""
        WITH page AS (
            SELECT d.*, d.possibly_sent AS possibly_repeated, t.model_id, t.incident_number, t.happened_at,
                   c.name AS channel, c.kind AS channel_kind, r.name AS route,
                   CASE WHEN g.reported_at IS NOT NULL THEN g.group_number END AS group_number,
                   (SELECT count(DISTINCT m.incident_id) FROM delivery AS m WHERE m.group_id = d.group_id)
                     AS group_incidents
              FROM delivery AS d
              JOIN transition AS t USING (transition_id)
              JOIN channel AS c USING (channel_id)
              JOIN route AS r USING (route_id)
              LEFT JOIN alert_group AS g ON g.group_id = d.group_id
             WHERE {where}
             ORDER BY d.created_at DESC, d.sequence DESC, d.delivery_id
             LIMIT $1
        )
        SELECT page.*,
               (SELECT coalesce(json_agg(json_build_object('at', at, 'send_id', send_id, 'outcome', outcome,
                                                           'reason', reason, 'text', text,
                                                           'http_status', http_status)
                                         ORDER BY attempt_id), '[]')
                  FROM attempt
                 WHERE attempt.delivery_id = page.delivery_id) AS attempts
          FROM page
         ORDER BY created_at DESC, sequence DESC, delivery_id
        """,
        limit, *values,
    )  # fmt: skip


def _conditions(requested: DeliveryFilter, after: Position | None) -> tuple[str, list[object]]:
    """What must hold, as SQL whose values are numbered from $2 on, and these values. Only what is asked for is in it:
    so each list finds the index that was made for it, however long the ledger is."""
    conditions, values = ["true"], list[object]()

    def mark(value: object) -> str:
        values.append(value)
        return f"${len(values) + 1}"

    if requested.states is not None:
        conditions.append(f"d.state = ANY ({mark(requested.states)})")
    if requested.undeliverable:
        conditions.append(f"d.state = 'parked' AND d.parked_because <> ALL ({mark(OVER)})")
    if requested.undeliverable or (requested.states is not None and DeliveryState.DELIVERED not in requested.states):
        conditions.append("d.state <> 'delivered'")  # the condition of the index of what is not delivered
    if requested.incident_id is not None:
        conditions.append(f"d.incident_id = {mark(requested.incident_id)}")
    if requested.model_id is not None:
        conditions.append(f"t.model_id = {mark(requested.model_id)}")
    if requested.channel is not None:
        channels = f"SELECT channel_id FROM channel WHERE name = {mark(requested.channel)}"
        conditions.append(f"d.channel_id = ANY (ARRAY ({channels}))")
    if requested.since is not None:
        conditions.append(f"d.created_at >= {mark(requested.since)}")
    if requested.delivery_id is not None:
        conditions.append(f"d.delivery_id = {mark(requested.delivery_id)}")
    if requested.patterns:
        conditions.append(f"t.model_id ~ ANY ({mark(model_regexes(requested.patterns))})")
    if after is not None:
        at, place = mark(after.created_at), f"(-{mark(after.sequence)}::integer, {mark(after.delivery_id)}::uuid)"
        conditions.append(f"d.created_at <= {at} AND (d.created_at < {at} OR (-d.sequence, d.delivery_id) > {place})")
    return " AND ".join(conditions), values


async def list_channels(connection: Connection, channel_id: UUID | None = None) -> list[asyncpg.Record]:
    """The channels, or the one with `channel_id`, and how many deliveries wait or are parked on each. A secret is not
    among the columns."""
    return await connection.fetch(
        f"""
        SELECT c.channel_id, c.name, c.kind, c.settings, c.secret_setting, c.secret_hint, c.state, c.broken_reason,
               c.retry_at, c.paused_until, c.fallback_channel_id, c.version, c.created_at,
               count(d.delivery_id) FILTER (WHERE d.state IN ('pending', 'sending')) AS waiting,
               count(d.delivery_id) FILTER (WHERE d.state = 'parked') AS parked,
               min({DUE_SINCE}) AS oldest_at
          FROM channel AS c
          LEFT JOIN delivery AS d
            ON d.channel_id = c.channel_id AND d.state <> 'delivered' AND (d.parked_because = ANY ($2)) IS NOT TRUE
         WHERE c.deleted_at IS NULL AND ($1::uuid IS NULL OR c.channel_id = $1)
         GROUP BY c.channel_id
         ORDER BY c.name
        """,
        channel_id, OVER,
    )  # fmt: skip


def age_seconds(since: datetime | None, now: datetime) -> float:
    """Seconds from `since` to `now`; 0 if there is no `since`."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
