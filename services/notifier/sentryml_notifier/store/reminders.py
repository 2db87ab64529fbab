"""Reminders: alerts and long drift that may ask for one, and making it. Made by several at once, it is made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import asyncpg

from sentryml_common.contracts.transition import Severity, State, Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.conversation import PAUSING
from sentryml_notifier.domain.reminder_schedule import SentAlert
from sentryml_notifier.domain.routing import ALERTING, CLOSING, OPENING, Urgency
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.store.inbox import DELIVERY_IDS

ALERTS_AT_A_TIME = 1_000
REMINDED_EVERY = timedelta(days=1)
"""How often people are reminded of what was acknowledged."""


@dataclass(frozen=True, slots=True)
class Alert:
    """The delivery of an alert by a route that reminds."""

    transition_id: UUID
    route_id: UUID
    delivery_id: UUID
    sent: SentAlert
    model_id: str
    critical: bool


@dataclass(frozen=True, slots=True)
class LongDrift:
    """A live incident on a channel: the delivery of its newest alert there, when it began, or was reopened, and the
    days of its last long-drift question since."""

    delivery_id: UUID
    incident_id: UUID
    channel_id: UUID
    began_sequence: int
    began_at: datetime
    reminded_days: int
    route_id: UUID
    model_id: str
    critical: bool


@dataclass(frozen=True, slots=True)
class StillCritical:
    """An acknowledged incident that is critical, on a channel: the delivery of its newest alert there, and how many
    such reminders there are."""

    delivery_id: UUID
    transition_id: UUID
    route_id: UUID
    made: int


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
               unseen.at AS unseen_at, d.urgency, alert.model_id
          FROM delivery AS d
          JOIN transition AS alert USING (transition_id)
          JOIN route AS r USING (route_id)
          JOIN channel AS c ON c.channel_id = d.channel_id AND c.deleted_at IS NULL
         CROSS JOIN LATERAL (
            SELECT count(*) AS made, max(s.delivered_at) AS last_at,
                   coalesce(bool_or(s.state <> 'delivered' AND s.parked_because IS DISTINCT FROM 'not_needed'), false)
                     AS waiting
              FROM delivery AS s
             WHERE s.transition_id = d.transition_id AND s.route_id = d.route_id AND s.reminder > 0
               AND s.long_drift_days = 0 AND NOT s.still_critical) AS sent
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
    critical = row["urgency"] == Urgency.CRITICAL_ALERT
    return Alert(row["transition_id"], row["route_id"], row["delivery_id"], sent, row["model_id"], critical)


async def list_long_drift(connection: Connection, every_days: int, now: datetime) -> list[LongDrift]:
    """Live incidents that a long-drift question can be due for, on each channel that has got their newest alert.

    Not while evaluation is paused: nobody knows then whether it still drifts. Where a monitor is off, or a model
    deleted, no incident is live.
    """
    rows = await connection.fetch(
        """
        SELECT d.delivery_id, d.incident_id, d.channel_id, began.sequence, began.at, reminded.days, d.route_id,
               d.urgency, alert.model_id
          FROM delivery AS d
          JOIN transition AS alert USING (transition_id)
          JOIN route AS r USING (route_id)
          JOIN channel AS c ON c.channel_id = d.channel_id AND c.deleted_at IS NULL
         CROSS JOIN LATERAL (
            SELECT t.sequence, t.happened_at AS at FROM transition AS t
             WHERE t.incident_id = d.incident_id AND t.step_kind = ANY ($3)
             ORDER BY t.sequence DESC
             LIMIT 1) AS began
         CROSS JOIN LATERAL (
            SELECT coalesce(max(s.long_drift_days), 0) AS days FROM delivery AS s
             WHERE s.incident_id = d.incident_id AND s.channel_id = d.channel_id AND s.long_drift_days > 0
               AND s.sequence >= began.sequence) AS reminded
         WHERE d.reminding AND d.state = 'delivered' AND r.enabled AND r.deleted_at IS NULL
           AND floor(extract(epoch FROM $1::timestamptz - began.at) / 86400 / $2) * $2 > reminded.days
           AND (SELECT t.to_state FROM transition AS t
                 WHERE t.incident_id = d.incident_id
                 ORDER BY t.sequence DESC
                 LIMIT 1) = ANY ($4)
           AND (SELECT t.step_kind FROM transition AS t
                 WHERE t.incident_id = d.incident_id AND t.step_kind = ANY ($5)
                 ORDER BY t.sequence DESC
                 LIMIT 1) IS DISTINCT FROM 'evaluation_paused'
         ORDER BY began.at
         LIMIT $6
        """,
        now, every_days, list(OPENING), list(LIVE), list(PAUSING), ALERTS_AT_A_TIME,
    )  # fmt: skip
    return [
        LongDrift(
            row["delivery_id"], row["incident_id"], row["channel_id"], row["sequence"], row["at"], row["days"],
            row["route_id"], row["model_id"], row["urgency"] == Urgency.CRITICAL_ALERT,
        )
        for row in rows
    ]  # fmt: skip


async def list_still_critical(connection: Connection, now: datetime) -> list[StillCritical]:
    """Acknowledged incidents that were critical when they last alerted, for whose reminder it is time on a channel that
    has got that alert. Not while evaluation is paused, and not within a day of any other reminder there."""
    rows = await connection.fetch(
        """
        SELECT d.delivery_id, d.transition_id, d.route_id, last.message, reminded.made
          FROM delivery AS d
          JOIN route AS r USING (route_id)
          JOIN channel AS c ON c.channel_id = d.channel_id AND c.deleted_at IS NULL
         CROSS JOIN LATERAL (
            SELECT t.to_state, t.message FROM transition AS t
             WHERE t.incident_id = d.incident_id
             ORDER BY t.sequence DESC
             LIMIT 1) AS last
         CROSS JOIN LATERAL (
            SELECT max(t.happened_at) AS at FROM transition AS t
             WHERE t.incident_id = d.incident_id AND t.sequence > d.sequence AND t.step_kind = 'acknowledged') AS seen
         CROSS JOIN LATERAL (
            SELECT max(s.created_at) AS at, count(*) FILTER (WHERE s.still_critical) AS made,
                   coalesce(bool_or(s.state <> 'delivered' AND s.parked_because IS DISTINCT FROM 'not_needed'), false)
                     AS waiting
              FROM delivery AS s
             WHERE s.incident_id = d.incident_id AND s.channel_id = d.channel_id AND s.sequence >= d.sequence
               AND s.reminder > 0) AS reminded
         WHERE d.reminding AND d.state = 'delivered' AND d.urgency = $2 AND r.enabled AND r.deleted_at IS NULL
           AND last.to_state = 'acknowledged' AND NOT reminded.waiting
           AND seen.at <= $1::timestamptz - make_interval(secs => r.remind_acknowledged_after_seconds)
           AND (reminded.at IS NULL OR reminded.at <= $1::timestamptz - $3::interval)
           AND (SELECT t.step_kind FROM transition AS t
                 WHERE t.incident_id = d.incident_id AND t.step_kind = ANY ($4)
                 ORDER BY t.sequence DESC
                 LIMIT 1) IS DISTINCT FROM 'evaluation_paused'
         ORDER BY seen.at
         LIMIT $5
        """,
        now, int(Urgency.CRITICAL_ALERT), REMINDED_EVERY, list(PAUSING), ALERTS_AT_A_TIME,
    )  # fmt: skip
    return [
        StillCritical(row["delivery_id"], row["transition_id"], row["route_id"], row["made"])
        for row in rows
        if Transition.model_validate(row["message"]).to.severity is Severity.CRITICAL
    ]


async def insert_still_critical(connection: Connection, critical: StillCritical, now: datetime) -> bool:
    """Make the reminder of an incident that was acknowledged and is still critical, as `insert_reminder` does."""
    number = critical.made + 1
    delivery_id = uuid5(DELIVERY_IDS, f"{critical.transition_id}/{critical.route_id}/still critical/{number}")
    return await _insert(connection, critical.delivery_id, delivery_id, number, 0, now, still_critical=True)


async def insert_long_drift(connection: Connection, drift: LongDrift, days: int, number: int, now: datetime) -> bool:
    """Make the reminder that asks after `days`, as `insert_reminder` does."""
    name = f"{drift.incident_id}/{drift.began_sequence}/{drift.channel_id}/long drift/{days}"
    return await _insert(connection, drift.delivery_id, uuid5(DELIVERY_IDS, name), number, days, now)


async def insert_reminder(connection: Connection, alert: Alert, number: int, now: datetime) -> bool:
    """Make the reminder, due now, or parked where the channel is broken; False if another has made it.

    The share lock keeps the channel as it is until this is committed, as for what comes in.
    """
    delivery_id = uuid5(DELIVERY_IDS, f"{alert.transition_id}/{alert.route_id}/{number}")
    return await _insert(connection, alert.delivery_id, delivery_id, number, 0, now)


async def _insert(
    connection: Connection,
    alert_id: UUID,
    delivery_id: UUID,
    number: int,
    long_drift_days: int,
    now: datetime,
    *,
    still_critical: bool = False,
) -> bool:
    status = await connection.execute(
        """
        INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind, reminder,
                              long_drift_days, urgency, due_at, created_at, still_critical, state, parked_because,
                              last_text)
        SELECT $2, d.transition_id, d.route_id, d.channel_id, d.incident_id, d.sequence, d.kind, $3, $4, $5, $6, $6, $7,
               CASE c.state WHEN 'broken' THEN 'parked' ELSE 'pending' END,
               CASE c.state WHEN 'broken' THEN 'channel_broken' END,
               c.broken_reason
          FROM delivery AS d
          JOIN channel AS c USING (channel_id)
         WHERE d.delivery_id = $1 AND c.deleted_at IS NULL
           FOR SHARE OF c
            ON CONFLICT DO NOTHING
        """,
        alert_id, delivery_id, number, long_drift_days, int(Urgency.NEWS), now, still_critical,
    )  # fmt: skip
    return status == "INSERT 0 1"
