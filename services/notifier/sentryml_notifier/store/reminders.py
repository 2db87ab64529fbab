"""Reminders: alerts that may ask for one, and making it. Made by several at once, it is made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import asyncpg

from sentryml_common.contracts.transition import State
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.reminder_schedule import SentAlert
from sentryml_notifier.domain.routing import ALERTING, CLOSING, Urgency
from sentryml_notifier.store.inbox import DELIVERY_IDS

ALERTS_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class Alert:
    """The delivery of an alert by a route that reminds."""

    transition_id: UUID
    route_id: UUID
    delivery_id: UUID
    sent: SentAlert


async def end_reminding(connection: Connection) -> None:
    """Leave alerts alone whose incident has ended, or has had a newer alert, since."""
    await connection.execute(
        """
        UPDATE delivery SET reminding = false
         WHERE delivery_id IN (
            SELECT d.delivery_id FROM delivery AS d
             WHERE d.reminding AND d.state = 'delivered'
               AND EXISTS (SELECT true FROM transition AS t
                            WHERE t.incident_id = d.incident_id AND t.sequence > d.sequence AND t.step_kind = ANY ($1))
             LIMIT $2
               FOR UPDATE SKIP LOCKED)
        """,
        list(ALERTING | CLOSING), ALERTS_AT_A_TIME,
    )  # fmt: skip


async def list_alerts(connection: Connection, now: datetime) -> list[Alert]:
    """Delivered alerts of routes that remind, the one delivered longest ago first, as far as their time has come.

    Only those that a reminder can be due for: others would take the places of those that it is due for.
    """
    rows = await connection.fetch(
        """
        SELECT d.transition_id, d.route_id, d.delivery_id, r.remind_after_seconds, r.remind_times,
               greatest(d.delivered_at, sent.last_at) AS sent_at, sent.made, sent.waiting, last.to_state AS state,
               unseen.at AS unseen_at
          FROM delivery AS d
          JOIN route AS r USING (route_id)
          JOIN channel AS c ON c.channel_id = d.channel_id AND c.deleted_at IS NULL
         CROSS JOIN LATERAL (
            SELECT count(*) AS made, max(s.delivered_at) AS last_at,
                   coalesce(bool_or(s.state <> 'delivered' AND s.parked_because IS DISTINCT FROM 'not_needed'), false)
                     AS waiting
              FROM delivery AS s
             WHERE s.transition_id = d.transition_id AND s.route_id = d.route_id AND s.reminder > 0) AS sent
         CROSS JOIN LATERAL (
            SELECT t.to_state FROM transition AS t
             WHERE t.incident_id = d.incident_id
             ORDER BY t.sequence DESC
             LIMIT 1) AS last
         CROSS JOIN LATERAL (
            SELECT max(t.happened_at) AS at FROM transition AS t
             WHERE t.incident_id = d.incident_id AND t.sequence > d.sequence AND t.step_kind = 'unacknowledged'
            ) AS unseen
         WHERE d.reminding AND d.state = 'delivered' AND r.enabled AND r.deleted_at IS NULL
           AND greatest(d.delivered_at, sent.last_at, unseen.at)
               <= $1::timestamptz - make_interval(secs => r.remind_after_seconds)
           AND sent.made < r.remind_times AND NOT sent.waiting AND last.to_state = 'open'
         ORDER BY sent_at
         LIMIT $2
        """,
        now, ALERTS_AT_A_TIME,
    )  # fmt: skip
    return [_alert_of(row) for row in rows]


def _alert_of(row: asyncpg.Record) -> Alert:
    sent = SentAlert(
        row["sent_at"],
        State(row["state"]),
        row["made"],
        row["waiting"],
        timedelta(seconds=row["remind_after_seconds"]),
        row["remind_times"],
        row["unseen_at"],
    )
    return Alert(row["transition_id"], row["route_id"], row["delivery_id"], sent)


async def insert_reminder(connection: Connection, alert: Alert, number: int, now: datetime) -> bool:
    """Make the reminder, due now, or parked where the channel is broken; False if another has made it.

    The share lock keeps the channel as it is until this is committed, as for what comes in.
    """
    status = await connection.execute(
        """
        INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind, reminder,
                              urgency, due_at, created_at, state, parked_because, last_text)
        SELECT $2, d.transition_id, d.route_id, d.channel_id, d.incident_id, d.sequence, d.kind, $3, $4, $5, $5,
               CASE c.state WHEN 'broken' THEN 'parked' ELSE 'pending' END,
               CASE c.state WHEN 'broken' THEN 'channel_broken' END,
               c.broken_reason
          FROM delivery AS d
          JOIN channel AS c USING (channel_id)
         WHERE d.delivery_id = $1 AND c.deleted_at IS NULL
           FOR SHARE OF c
            ON CONFLICT ON CONSTRAINT delivery_once_per_route DO NOTHING
        """,
        alert.delivery_id, uuid5(DELIVERY_IDS, f"{alert.transition_id}/{alert.route_id}/{number}"), number,
        int(Urgency.NEWS), now,
    )  # fmt: skip
    return status == "INSERT 0 1"
