"""System alerts and their deliveries: begun and ended once, each with a delivery for every channel of a route with the
flag `system`."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import Next, RetryState
from sentryml_notifier.domain.system_alerts.rules import Finding, Subject, SystemAlert
from sentryml_notifier.store.ledger import DUE_SINCE

ALERT_COLUMNS = "a.alert_id, a.fault, a.channel, a.since, a.text, a.began_at, a.ended_at"


@dataclass(frozen=True, slots=True)
class SystemClaim:
    """One message under way."""

    delivery_id: UUID
    send_id: UUID
    channel_id: UUID
    alert: SystemAlert
    retry_state: RetryState
    created_at: datetime
    last_text: str | None


async def list_system_alerts(connection: Connection, limit: int) -> list[SystemAlert]:
    """Those that last, then those that are over, each newest first."""
    rows = await connection.fetch(
        f"SELECT {ALERT_COLUMNS} FROM system_alert AS a ORDER BY a.ended_at IS NOT NULL, a.began_at DESC LIMIT $1",
        limit,
    )
    return [_alert_of(row) for row in rows]


async def list_live(connection: Connection) -> list[Subject]:
    """What people know not to work."""
    rows = await connection.fetch("SELECT fault, channel FROM system_alert WHERE ended_at IS NULL")
    return [Subject(SystemFault(row["fault"]), row["channel"]) for row in rows]


async def begin(connection: Connection, finding: Finding, now: datetime) -> bool:
    """Begin an alert, with its deliveries; False if another notifier has."""
    subject = finding.subject
    alert_id = await connection.fetchval(
        """
        INSERT INTO system_alert (fault, channel, since, text, began_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
        RETURNING alert_id
        """,
        subject.fault.value, subject.channel, finding.since, finding.text, now,
    )  # fmt: skip
    if alert_id is None:
        return False
    await connection.execute(
        """
        INSERT INTO system_delivery (alert_id, channel_id, of_end, due_at)
        SELECT $1, channel_id, false, $2 FROM unnest($3::uuid[]) AS channel_id
        """,
        alert_id, now, await _channels(connection, subject.channel),
    )  # fmt: skip
    return True


async def end(connection: Connection, subject: Subject, now: datetime) -> bool:
    """End an alert; False if another notifier has. A channel that has not got the beginning gets one message, at the
    end: that says both."""
    alert_id = await connection.fetchval(
        """
        UPDATE system_alert SET ended_at = $3 WHERE fault = $1 AND channel = $2 AND ended_at IS NULL
        RETURNING alert_id
        """,
        subject.fault.value, subject.channel, now,
    )  # fmt: skip
    if alert_id is None:
        return False
    await connection.execute(
        "UPDATE system_delivery SET state = 'not_needed' WHERE alert_id = $1 AND state IN ('pending', 'parked')",
        alert_id,
    )
    await connection.execute(
        """
        INSERT INTO system_delivery (alert_id, channel_id, of_end, due_at)
        SELECT alert_id, channel_id, true, $2 FROM system_delivery WHERE alert_id = $1 AND NOT of_end
        """,
        alert_id, now,
    )  # fmt: skip
    return True


async def _channels(connection: Connection, failing: str) -> list[UUID]:
    """Where system alerts go: a broken channel's fallback instead of it, and the one that fails only if there is no
    other."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT CASE WHEN f.channel_id IS NULL THEN c.channel_id ELSE f.channel_id END AS channel_id,
               CASE WHEN f.channel_id IS NULL THEN c.name ELSE f.name END AS name
          FROM route AS r
          JOIN channel AS c USING (channel_id)
          LEFT JOIN channel AS f ON f.channel_id = c.fallback_channel_id AND c.state = 'broken' AND f.state = 'active'
                AND f.deleted_at IS NULL
         WHERE r.system AND r.enabled AND r.deleted_at IS NULL AND c.deleted_at IS NULL
        """
    )
    others = [row["channel_id"] for row in rows if row["name"] != failing]
    return others or [row["channel_id"] for row in rows]


async def are_all_broken(connection: Connection) -> bool:
    """Whether system alerts reach nobody: each channel that they go to is broken, and so is its fallback."""
    found: bool = await connection.fetchval(
        """
        SELECT coalesce(bool_and(c.state = 'broken' AND (f.state = 'active' AND f.deleted_at IS NULL) IS NOT TRUE),
                        false)
          FROM route AS r
          JOIN channel AS c USING (channel_id)
          LEFT JOIN channel AS f ON f.channel_id = c.fallback_channel_id
         WHERE r.system AND r.enabled AND r.deleted_at IS NULL AND c.deleted_at IS NULL
        """
    )
    return found


async def claim(
    connection: Connection, send_id: UUID, served: list[UUID], lease: timedelta, now: datetime
) -> SystemClaim | None:
    """Take the message that has been due for longest on one of the channels that are `served`; None if none is due."""
    row = await connection.fetchrow(
        f"""
        WITH due AS (
            SELECT delivery_id, state
              FROM system_delivery
              JOIN system_alert USING (alert_id)
             WHERE state IN ('pending', 'sending', 'parked') AND due_at <= $1 AND channel_id = ANY ($2)
               AND (of_end OR ended_at IS NULL)
             ORDER BY due_at
             LIMIT 1
               FOR NO KEY UPDATE OF system_delivery SKIP LOCKED
        )
        UPDATE system_delivery AS d
           SET state = 'sending', send_id = $3, due_at = $4, attempts = attempts + 1,
               possibly_sent = possibly_sent OR due.state = 'sending'
          FROM due, system_alert AS a
         WHERE d.delivery_id = due.delivery_id AND a.alert_id = d.alert_id
        RETURNING {ALERT_COLUMNS}, d.delivery_id, d.channel_id, d.of_end, d.failures, d.failing_since, d.possibly_sent,
                  d.plain, d.last_text
        """,
        now, served, send_id, now + lease,
    )  # fmt: skip
    if row is None:
        return None
    alert = _alert_of(row)
    created_at = alert.ended_at if row["of_end"] and alert.ended_at else alert.began_at
    retry_state = RetryState(row["failures"], row["failing_since"], row["possibly_sent"], row["plain"])
    return SystemClaim(
        row["delivery_id"], send_id, row["channel_id"], alert, retry_state, created_at, row["last_text"]
    )  # fmt: skip


async def note(connection: Connection, claimed: SystemClaim, decided: Next, text: str) -> None:
    """Move a delivery to where it goes next, if it is still the sender's."""
    await connection.execute(
        """
        UPDATE system_delivery
           SET state = $2, send_id = NULL, due_at = $3, failures = $4, failing_since = $5, possibly_sent = $6,
               plain = $7, last_text = $8, delivered_at = CASE WHEN $2 = 'delivered' THEN $3::timestamptz END
         WHERE send_id = $1
        """,
        claimed.send_id, decided.state.value, decided.at, *astuple(decided.retry_state), text,
    )  # fmt: skip


async def list_stalled_channels(connection: Connection, before: datetime) -> list[asyncpg.Record]:
    """Channels that are broken with something waiting, or on which something has waited since `before`: how much, since
    when, and why."""
    return await connection.fetch(
        f"""
        SELECT c.name, c.broken_reason, count(*) AS messages, min({DUE_SINCE}) AS since,
               (array_agg(d.last_text ORDER BY d.created_at) FILTER (WHERE d.last_text IS NOT NULL))[1] AS last_text
          FROM delivery AS d
          JOIN channel AS c USING (channel_id)
         WHERE c.deleted_at IS NULL
           AND (d.state IN ('pending', 'sending') OR (d.state = 'parked' AND d.parked_because = 'channel_broken'))
         GROUP BY c.channel_id
        HAVING c.state = 'broken' OR min({DUE_SINCE}) < $1
         ORDER BY c.name
        """,
        before,
    )


def _alert_of(row: asyncpg.Record) -> SystemAlert:
    return SystemAlert(
        row["alert_id"],
        Subject(SystemFault(row["fault"]), row["channel"]),
        row["since"],
        row["text"],
        row["began_at"],
        row["ended_at"],
    )
