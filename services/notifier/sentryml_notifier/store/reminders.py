"""Reminders: alerts and long drift that may ask for one, and making it. Made by several at once, it is made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import asyncpg

from sentryml_common.contracts.transition import Severity, State, Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.reminder_schedule import SentAlert
from sentryml_notifier.domain.routing import ALERTING, CLOSING, OPENING, Urgency
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.store.inbox import DELIVERY_IDS

ALERTS_AT_A_TIME = 1_000
REMINDED_EVERY = timedelta(days=1)
"""How often people are reminded of what was acknowledged."""

DELIVERED_ALERTS = """
          FROM delivery AS d
          JOIN transition AS alert USING (transition_id)
          JOIN route AS r USING (route_id)
          JOIN channel AS c ON c.channel_id = d.channel_id AND c.deleted_at IS NULL
         CROSS JOIN LATERAL (
            SELECT t.to_state AS state, t.message FROM transition AS t
             WHERE t.incident_id = d.incident_id
             ORDER BY t.sequence DESC
             LIMIT 1) AS newest
"""
"""What people may be reminded of, each with its route and the newest step of its incident."""

IS_EVALUATED = """
    (SELECT t.step_kind FROM transition AS t
      WHERE t.incident_id = d.incident_id AND t.step_kind IN ('evaluation_paused', 'evaluation_resumed')
      ORDER BY t.sequence DESC
      LIMIT 1) IS DISTINCT FROM 'evaluation_paused'
"""
"""Not while evaluation is paused: nobody knows then whether it still drifts."""


@dataclass(frozen=True, slots=True)
class NewReminder:
    """A reminder to be made of what a delivery has reported; its id follows from `name`."""

    reported_by: UUID
    name: str
    number: int
    long_drift_days: int = 0
    still_critical: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """The delivery of an alert by a route that reminds."""

    transition_id: UUID
    route_id: UUID
    delivery_id: UUID
    sent: SentAlert
    model_id: str
    critical: bool

    def reminder(self, number: int) -> NewReminder:
        """One of it."""
        return NewReminder(self.delivery_id, f"{self.transition_id}/{self.route_id}/{number}", number)


@dataclass(frozen=True, slots=True)
class LongDrift:
    """A live incident on a channel: the delivery of its newest alert there, when it began, or was reopened, and the
    days of its last long-drift question since."""

    delivery_id: UUID
    incident_id: UUID
    channel_id: UUID
    route_id: UUID
    began_sequence: int
    began_at: datetime
    reminded_days: int
    model_id: str
    critical: bool

    def question(self, days: int, number: int) -> NewReminder:
        """The one that asks after `days`."""
        name = f"{self.incident_id}/{self.began_sequence}/{self.channel_id}/long drift/{days}"
        return NewReminder(self.delivery_id, name, number, days)


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
        f"""
        SELECT d.transition_id, d.route_id, d.delivery_id, make_interval(secs => r.remind_after_seconds) AS after,
               r.remind_times AS times, greatest(d.delivered_at, sent.last_at) AS sent_at, sent.made, sent.waiting,
               newest.state, unseen.at AS unseen_at, d.urgency, alert.model_id
          {DELIVERED_ALERTS}
         CROSS JOIN LATERAL (
            SELECT count(*) AS made, max(s.delivered_at) AS last_at,
                   coalesce(bool_or(s.state <> 'delivered' AND s.parked_because IS DISTINCT FROM 'not_needed'), false)
                     AS waiting
              FROM delivery AS s
             WHERE s.transition_id = d.transition_id AND s.route_id = d.route_id AND s.reminder > 0
               AND s.long_drift_days = 0 AND NOT s.still_critical) AS sent
         CROSS JOIN LATERAL (
            SELECT max(t.happened_at) AS at FROM transition AS t
             WHERE t.incident_id = d.incident_id AND t.sequence > d.sequence AND t.step_kind = 'unacknowledged'
            ) AS unseen
         WHERE d.reminding AND d.state = 'delivered' AND r.enabled AND r.deleted_at IS NULL
           AND greatest(d.delivered_at, sent.last_at, unseen.at)
               <= $1::timestamptz - make_interval(secs => r.remind_after_seconds)
           AND sent.made < r.remind_times AND NOT sent.waiting AND newest.state = 'open'
         ORDER BY sent_at
         LIMIT $2
        """,
        now, ALERTS_AT_A_TIME,
    )  # fmt: skip
    return [_alert_of(row) for row in rows]


def _alert_of(row: asyncpg.Record) -> Alert:
    sent = SentAlert(
        row["sent_at"], State(row["state"]), row["made"], row["waiting"], row["after"], row["times"], row["unseen_at"]
    )
    critical = row["urgency"] == Urgency.CRITICAL_ALERT
    return Alert(row["transition_id"], row["route_id"], row["delivery_id"], sent, row["model_id"], critical)


async def list_long_drift(connection: Connection, every_days: int, now: datetime) -> list[LongDrift]:
    """Live incidents that a long-drift question can be due for, on each channel that has got their newest alert.

    Where a monitor is off, or a model deleted, no incident is live.
    """
    rows = await connection.fetch(
        f"""
        SELECT d.delivery_id, d.incident_id, d.channel_id, d.route_id, began.sequence AS began_sequence,
               began.at AS began_at, reminded.days AS reminded_days, alert.model_id, d.urgency = $5 AS critical
          {DELIVERED_ALERTS}
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
           AND newest.state = ANY ($4) AND {IS_EVALUATED}
         ORDER BY began.at
         LIMIT $6
        """,
        now, every_days, list(OPENING), list(LIVE), int(Urgency.CRITICAL_ALERT), ALERTS_AT_A_TIME,
    )  # fmt: skip
    return [LongDrift(**dict(row.items())) for row in rows]


async def list_still_critical(connection: Connection, now: datetime) -> list[NewReminder]:
    """The reminders of acknowledged incidents that were critical when they last alerted, as far as it is time on a
    channel that has got that alert: not within a day of any other reminder there."""
    rows = await connection.fetch(
        f"""
        SELECT d.delivery_id, d.transition_id, d.route_id, newest.message, reminded.made + 1 AS number
          {DELIVERED_ALERTS}
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
           AND newest.state = 'acknowledged' AND NOT reminded.waiting AND {IS_EVALUATED}
           AND seen.at <= $1::timestamptz - make_interval(secs => r.remind_acknowledged_after_seconds)
           AND (reminded.at IS NULL OR reminded.at <= $1::timestamptz - $3::interval)
         ORDER BY seen.at
         LIMIT $4
        """,
        now, int(Urgency.CRITICAL_ALERT), REMINDED_EVERY, ALERTS_AT_A_TIME,
    )  # fmt: skip
    name = "{transition_id}/{route_id}/still critical/{number}"
    return [
        NewReminder(row["delivery_id"], name.format(**row), row["number"], still_critical=True)
        for row in rows
        if Transition.model_validate(row["message"]).to.severity is Severity.CRITICAL
    ]


async def insert_reminder(connection: Connection, reminder: NewReminder, now: datetime) -> bool:
    """Make a reminder, due now, or parked where the channel is broken; False if another has made it.

    The share lock keeps the channel as it is until this is committed, as for what comes in.
    """
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
        reminder.reported_by, uuid5(DELIVERY_IDS, reminder.name), reminder.number, reminder.long_drift_days,
        int(Urgency.NEWS), now, reminder.still_critical,
    )  # fmt: skip
    return status == "INSERT 0 1"
