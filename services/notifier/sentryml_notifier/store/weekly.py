"""Weekly summaries: entering them when they are due, taking one with a lease, and what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID, uuid5

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import Next, Parked, ParkedBecause, RetryState
from sentryml_notifier.domain.holding.weekly import WEEK
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.store.queue.waiting import read_history

INCIDENTS_MAX = 1_000
SUMMARY_IDS = UUID("7a3f2d54-6c1b-5e0f-9a44-0b8f6f5f1c21")


@dataclass(frozen=True, slots=True)
class Summary:
    """One summary under way: of which route, of which week, and the attempts so far."""

    route_id: UUID
    ends_at: datetime
    send_id: UUID
    lease_until: datetime
    retry_state: RetryState

    @property
    def summary_id(self) -> UUID:
        """The same for each attempt."""
        return uuid5(SUMMARY_IDS, f"{self.route_id}/{self.ends_at.isoformat()}")


async def enter(connection: Connection, route_id: UUID, ends_at: datetime) -> None:
    """Have the summary of a week sent, once; earlier ones that were not are given up."""
    await connection.execute(
        """
        UPDATE weekly_summary SET state = 'given_up', last_text = coalesce(last_text, 'Not sent in time.')
         WHERE route_id = $1 AND ends_at < $2 AND state = 'pending'
        """,
        route_id, ends_at,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO weekly_summary (route_id, ends_at, due_at) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING",
        route_id,
        ends_at,
    )


async def claim(
    connection: Connection, channel_id: UUID, fingerprint: str, send_id: UUID, now: datetime, lease_until: datetime
) -> Summary | None:
    """Take a summary that is due on a working channel; None if there is none. Its route stays as it is until the
    transaction ends: there is one to make the summary for."""
    row = await connection.fetchrow(
        """
        SELECT w.route_id, w.ends_at, w.state, w.failures, w.failing_since, w.possibly_sent, w.plain
          FROM weekly_summary AS w
          JOIN route AS r USING (route_id)
          JOIN channel AS c USING (channel_id)
         WHERE c.channel_id = $1 AND c.fingerprint = $2 AND c.state = 'active' AND r.enabled AND r.deleted_at IS NULL
           AND (c.paused_until IS NULL OR c.paused_until <= $3) AND w.due_at <= $3 AND w.state IN ('pending', 'sending')
         ORDER BY w.due_at
         LIMIT 1
           FOR UPDATE OF w SKIP LOCKED
           FOR SHARE OF r
        """,
        channel_id, fingerprint, now,
    )  # fmt: skip
    if row is None:
        return None
    possibly_sent = row["possibly_sent"] or row["state"] == "sending"
    await connection.execute(
        """
        UPDATE weekly_summary SET state = 'sending', send_id = $3, due_at = $4, possibly_sent = $5
         WHERE route_id = $1 AND ends_at = $2
        """,
        row["route_id"], row["ends_at"], send_id, lease_until, possibly_sent,
    )  # fmt: skip
    retry_state = RetryState(row["failures"], row["failing_since"], possibly_sent, row["plain"])
    return Summary(row["route_id"], row["ends_at"], send_id, lease_until, retry_state)


async def set_next(connection: Connection, summary: Summary, decided: Next, text: str) -> None:
    """Note what became of an attempt, if the summary is still its own. It waits for a channel that is broken; what
    would be parked for another reason is given up."""
    state = decided.state.value
    if isinstance(decided, Parked):
        state = "pending" if decided.because is ParkedBecause.CHANNEL_BROKEN else "given_up"
    await connection.execute(
        """
        UPDATE weekly_summary
           SET state = $4, send_id = NULL, due_at = $5, failures = $6, failing_since = $7, possibly_sent = $8,
               plain = $9, last_text = $10, delivered_at = CASE WHEN $4 = 'delivered' THEN $5::timestamptz END
         WHERE route_id = $1 AND ends_at = $2 AND send_id = $3
        """,
        summary.route_id, summary.ends_at, summary.send_id, state, decided.at, *astuple(decided.retry_state), text,
    )  # fmt: skip


async def read_week(connection: Connection, ends_at: datetime) -> Sequence[Story]:
    """The incidents that had a step in the week up to a moment, or were live then, as they were then."""
    rows = await connection.fetch(
        """
        SELECT incident_id FROM (
            SELECT DISTINCT ON (incident_id) incident_id, happened_at, to_state FROM transition
             WHERE happened_at < $2
             ORDER BY incident_id, sequence DESC) AS newest
         WHERE happened_at >= $1 OR to_state = ANY ($3)
         ORDER BY happened_at DESC
         LIMIT $4
        """,
        ends_at - WEEK, ends_at, list(LIVE), INCIDENTS_MAX,
    )  # fmt: skip
    history = await read_history(connection, [row["incident_id"] for row in rows])
    steps = ([step for step in each if step.at < ends_at] for each in history.values())
    return [Story(each, each[-1:]) for each in steps if each]
