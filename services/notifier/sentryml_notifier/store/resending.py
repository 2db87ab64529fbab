"""Which live incidents are sent again to a channel, and when next. A row begins with a delivery and ends with the
delivery of the incident's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.store.queue.waiting import read_history

AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """An incident as a channel has it: its steps up to the newest delivered there, and its alert group there."""

    incident_id: UUID
    sequence: int
    steps: Sequence[Transition]
    group_id: UUID | None


async def note_delivered(connection: Connection, channel_id: UUID, last: Transition, due_at: datetime) -> None:
    """Send an incident again from `due_at` on, or, if it is over, no more."""
    if last.to.state not in LIVE:
        await connection.execute(
            "DELETE FROM resending WHERE channel_id = $1 AND incident_id = $2 AND sequence <= $3",
            channel_id, last.incident_id, last.sequence,
        )  # fmt: skip
        return
    await connection.execute(
        """
        INSERT INTO resending (channel_id, incident_id, sequence, due_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (channel_id, incident_id) DO UPDATE
           SET sequence = greatest(resending.sequence, excluded.sequence), due_at = excluded.due_at
        """,
        channel_id, last.incident_id, last.sequence, due_at,
    )  # fmt: skip


async def claim_due(
    connection: Connection, channel_id: UUID, fingerprint: str, now: datetime, next_at: datetime
) -> list[Kept]:
    """Take what is due on a working channel; due again at `next_at`, whatever becomes of it."""
    await _forget_over(connection, channel_id)
    rows = await connection.fetch(
        """
        UPDATE resending SET due_at = $4
         WHERE channel_id = $1 AND incident_id IN (
            SELECT r.incident_id FROM resending AS r JOIN channel AS c USING (channel_id)
             WHERE r.channel_id = $1 AND r.due_at <= $3 AND c.state = 'active' AND c.fingerprint = $2
               AND (c.paused_until IS NULL OR c.paused_until <= $3)
             ORDER BY r.due_at
             LIMIT $5
               FOR UPDATE OF r SKIP LOCKED)
        RETURNING incident_id, sequence
        """,
        channel_id, fingerprint, now, next_at, AT_A_TIME,
    )  # fmt: skip
    return await _with_steps(connection, channel_id, {row["incident_id"]: row["sequence"] for row in rows})


async def list_changed(connection: Connection, channel_id: UUID, sent: Sequence[Kept]) -> list[Kept]:
    """Those of which something newer was delivered while they were being sent again, as they are now: what was sent
    may have arrived after that."""
    rows = await connection.fetch(
        """
        SELECT d.incident_id, max(d.sequence) AS sequence FROM delivery AS d
          JOIN unnest($2::uuid[], $3::integer[]) AS sent (incident_id, sequence) USING (incident_id)
         WHERE d.channel_id = $1 AND d.state = 'delivered' AND d.sequence > sent.sequence
         GROUP BY d.incident_id
        """,
        channel_id, [each.incident_id for each in sent], [each.sequence for each in sent],
    )  # fmt: skip
    return await _with_steps(connection, channel_id, {row["incident_id"]: row["sequence"] for row in rows})


async def put_off(connection: Connection, channel_id: UUID, sent: Sequence[Kept], due_at: datetime) -> None:
    """Send them again at another time."""
    await connection.execute(
        "UPDATE resending SET due_at = $3 WHERE channel_id = $1 AND incident_id = ANY ($2)",
        channel_id, [each.incident_id for each in sent], due_at,
    )  # fmt: skip


async def _forget_over(connection: Connection, channel_id: UUID) -> None:
    """Leave alone what is over and of which nothing is on its way there: its route was switched off meanwhile."""
    await connection.execute(
        """
        DELETE FROM resending AS r
         WHERE channel_id = $1
           AND (SELECT to_state FROM transition AS t
                 WHERE t.incident_id = r.incident_id ORDER BY t.sequence DESC LIMIT 1) <> ALL ($2)
           AND NOT EXISTS (SELECT FROM delivery AS d
                            WHERE d.channel_id = $1 AND d.incident_id = r.incident_id AND d.state <> 'delivered')
        """,
        channel_id, list(LIVE),
    )  # fmt: skip


async def _with_steps(connection: Connection, channel_id: UUID, sequences: dict[UUID, int]) -> list[Kept]:
    if not sequences:
        return []
    history = await read_history(connection, list(sequences))
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (incident_id) incident_id, group_id FROM delivery
         WHERE channel_id = $1 AND incident_id = ANY ($2) AND opens
         ORDER BY incident_id, sequence DESC
        """,
        channel_id, list(sequences),
    )  # fmt: skip
    groups = {row["incident_id"]: row["group_id"] for row in rows}
    return [
        Kept(each, last, [step for step in history[each] if step.sequence <= last], groups.get(each))
        for each, last in sequences.items()
    ]
