"""Finds faults: alerts that were lost, deliveries that nobody works on or that are parked without a reason.

Each query answers with rows only where something is wrong, so that a sound ledger costs little. What was lost is
determined from the transitions as they came, not from what the consumer made of them: that may be what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.routing import ALERTING, CLOSING, OPENING
from sentryml_notifier.store.queue.waiting import most_urgent_incident

SERVED_WITHIN = timedelta(minutes=5)
"""A delivery that is due waits longer only behind others: then the channel sends at its pace all the while."""

ROUTED_WITHIN = timedelta(hours=24)

LOST_WITHIN = timedelta(hours=24)
"""What was lost stays lost: it is said for a day."""

ROUTES_KNOWN_AFTER = timedelta(minutes=1)
"""A change of a route says when it was asked for; it holds a moment later."""

LOST_SHOWN = 100


class Fault(StrEnum):
    """What is wrong: a closed set, for metrics."""

    ALERT_LOST = "alert_lost"  # an alert has no delivery, and no entry that says that no route takes it
    STEP_MISSING = "step_missing"  # a step of an incident never came, though later ones did
    NOT_SERVED = "not_served"  # something is due, and nobody sends
    ORPHANED = "orphaned"  # parked for a broken channel, and the channel works
    UNEXPLAINED = "unexplained"  # parked without a text


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, with a text that says where to look; of one channel, or of none; the text may name one model."""

    fault: Fault
    channel: str | None
    text: str
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit of the ledger: what was found, when, and of how many alerts of the last day nobody was notified."""

    at: datetime
    findings: tuple[Finding, ...]
    without_route: int


async def find_faults(connection: Connection, now: datetime) -> list[Finding]:
    """Everything that is wrong with the ledger at the moment; nothing if each delivery is where it should be."""
    lost = [*await _alerts_lost(connection, now), *await _steps_missing(connection, now)]
    return [*lost, *await _not_served(connection, now), *await _parked_wrongly(connection)]


async def _alerts_lost(connection: Connection, now: datetime) -> list[Finding]:
    """Alerts of the last day that must have a delivery, or an entry that no route took them, and have neither.

    An alert always must; so must what follows one whose beginning is not known. The end of an alert must have a
    delivery if a route that sent the alert is unchanged since.
    """
    rows = await connection.fetch(
        """
        SELECT t.incident_number, t.model_id, t.step_kind
          FROM transition AS t
         CROSS JOIN LATERAL (
            SELECT max(b.sequence) AS sequence FROM transition AS b
             WHERE b.incident_id = t.incident_id AND b.sequence < t.sequence AND b.step_kind = ANY ($3)) AS began
         WHERE t.taken_in_at > $1 AND t.alert
           AND NOT EXISTS (SELECT FROM delivery AS d WHERE d.transition_id = t.transition_id AND d.reminder = 0)
           AND NOT EXISTS (SELECT FROM unrouted AS u WHERE u.transition_id = t.transition_id)
           AND (t.step_kind = ANY ($2) OR began.sequence IS NULL OR (t.step_kind = ANY ($4) AND EXISTS (
                SELECT FROM delivery AS d
                  JOIN route AS r ON r.route_id = d.route_id AND r.channel_id = d.channel_id
                 WHERE d.incident_id = t.incident_id AND d.sequence BETWEEN began.sequence AND t.sequence - 1
                   AND d.kind = ANY ($2) AND r.enabled AND r.deleted_at IS NULL
                   AND NOT EXISTS (SELECT FROM change AS c
                                    WHERE c.subject_id = r.route_id AND c.at > t.taken_in_at - $5::interval))))
         ORDER BY t.taken_in_at, t.sequence
         LIMIT $6
        """,
        now - LOST_WITHIN, list(ALERTING), list(OPENING), list(CLOSING), ROUTES_KNOWN_AFTER, LOST_SHOWN,
    )  # fmt: skip
    text = (
        "{model_id}: incident #{incident_number} has {step_kind}, and no delivery was created: notify people yourself"
    )
    return [Finding(Fault.ALERT_LOST, None, text.format(**row), row["model_id"]) for row in rows]


async def _steps_missing(connection: Connection, now: datetime) -> list[Finding]:
    """Steps between those that came: an incident's steps are numbered without a gap, and come in their order."""
    rows = await connection.fetch(
        """
        SELECT t.incident_number, t.model_id, t.sequence
          FROM transition AS t
         WHERE t.taken_in_at > $1 AND t.sequence > 1
           AND NOT EXISTS (SELECT FROM transition AS b
                            WHERE b.incident_id = t.incident_id AND b.sequence = t.sequence - 1)
           AND EXISTS (SELECT FROM transition AS b WHERE b.incident_id = t.incident_id AND b.sequence < t.sequence)
         ORDER BY t.taken_in_at, t.sequence
         LIMIT $2
        """,
        now - LOST_WITHIN, LOST_SHOWN,
    )  # fmt: skip
    text = (
        "{model_id}: what comes before step {sequence} of incident #{incident_number} never came, and may have been an "
        "alert: deadletters.v1 says whether it could not be used"
    )
    return [Finding(Fault.STEP_MISSING, None, text.format(**row), row["model_id"]) for row in rows]


async def _not_served(connection: Connection, now: datetime) -> list[Finding]:
    """Working channels on which something has long been due, though none of its messages has left since."""
    channels = await connection.fetch(
        """
        SELECT channel_id, name FROM channel
         WHERE state = 'active' AND deleted_at IS NULL
           AND (bucket_full_at IS NULL OR bucket_full_at < $1) AND (paused_until IS NULL OR paused_until < $1)
         ORDER BY name
        """,
        now - SERVED_WITHIN,
    )
    text = "deliveries are due since {minutes:.0f} minutes, and no notifier sends them: is one running that can?"
    return [
        Finding(Fault.NOT_SERVED, row["name"], text.format(minutes=SERVED_WITHIN.total_seconds() / 60))
        for row in channels
        if await most_urgent_incident(connection, row["channel_id"], now - SERVED_WITHIN) is not None
    ]


async def _parked_wrongly(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(
        """
        SELECT c.name, c.state = 'active' AND d.parked_because = 'channel_broken' AS orphaned, count(*) AS deliveries
          FROM delivery AS d
          JOIN channel AS c USING (channel_id)
         WHERE d.state = 'parked' AND c.deleted_at IS NULL
           AND (coalesce(d.last_text, '') = '' OR (c.state = 'active' AND d.parked_because = 'channel_broken'))
         GROUP BY 1, 2
         ORDER BY 1, 2
        """
    )
    return [
        Finding(Fault.ORPHANED, row["name"], f"{row['deliveries']} deliveries wait for it to be fixed, but it works")
        if row["orphaned"]
        else Finding(Fault.UNEXPLAINED, row["name"], f"{row['deliveries']} deliveries are parked without a reason")
        for row in rows
    ]


async def count_alerts_without_route(connection: Connection, now: datetime) -> int:
    """Alerts of the last day that no route has taken: nobody was notified, and nobody will be."""
    found: int = await connection.fetchval("SELECT count(*) FROM unrouted WHERE at > $1", now - ROUTED_WITHIN)
    return found
