"""Looking for what must not be: deliveries that nobody works on, or that are stuck without a word.

Each query answers with rows only where something is wrong, so that a sound ledger costs little.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.store.queue import most_urgent_incident

SERVED_WITHIN = timedelta(minutes=5)
"""A delivery that is due waits longer only behind others: then the channel sends at its pace all the while."""

ROUTED_WITHIN = timedelta(hours=24)


class Fault(StrEnum):
    """What is wrong: a closed set, for metrics."""

    NOT_SERVED = "not_served"  # something is due, and nobody sends
    ORPHANED = "orphaned"  # parked for a broken channel, and the channel works
    UNEXPLAINED = "unexplained"  # parked without words


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, of one channel, in words that say where to look."""

    fault: Fault
    channel: str
    words: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One look at the ledger: what was found, when, and of how many alerts of the last day nobody was told."""

    at: datetime
    findings: tuple[Finding, ...]
    untold: int


async def find_faults(connection: Connection, now: datetime) -> list[Finding]:
    """Everything that is wrong with the ledger at the moment; nothing if each delivery is where it should be."""
    return [*await _not_served(connection, now), *await _parked_wrongly(connection)]


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
    words = "deliveries are due since {minutes:.0f} minutes, and no notifier sends them: is one running that can?"
    return [
        Finding(Fault.NOT_SERVED, row["name"], words.format(minutes=SERVED_WITHIN.total_seconds() / 60))
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
           AND (coalesce(d.last_words, '') = '' OR (c.state = 'active' AND d.parked_because = 'channel_broken'))
         GROUP BY 1, 2
         ORDER BY 1, 2
        """
    )
    return [
        Finding(Fault.ORPHANED, row["name"], f"{row['deliveries']} deliveries wait for it to be mended, and it works")
        if row["orphaned"]
        else Finding(Fault.UNEXPLAINED, row["name"], f"{row['deliveries']} deliveries are parked without a reason")
        for row in rows
    ]


async def count_alerts_untold(connection: Connection, now: datetime) -> int:
    """Alerts of the last day that no route has taken: nobody was told, and nobody will be."""
    found: int = await connection.fetchval("SELECT count(*) FROM unrouted WHERE at > $1", now - ROUTED_WITHIN)
    return found
