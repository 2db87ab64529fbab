"""The stream's order of transitions: numbered after their commit, one numberer at a time, so that who sees a
number sees all below it."""

from __future__ import annotations

from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.timeline import TRANSITION_COLUMNS, transition_of

CHANNEL = "sentryml_incidents_stream"
LOCK = 7_153_012


async def number_transitions(connection: Connection) -> None:
    """Number what has been committed; the caller's transaction ends with it, since it holds the lock of numbering.

    Where nothing is pending, everything that was committed before is numbered and committed, too. The lock is a
    statement of its own: one that has waited for it would not see what the last holder has done.
    """
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM stream_pending)"):
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute(
        """
        WITH taken AS (DELETE FROM stream_pending RETURNING transition_id, position)
        INSERT INTO stream_entry (transition_id) SELECT transition_id FROM taken ORDER BY position
        """
    )


async def newest_number(connection: Connection) -> int:
    """The highest number given so far; 0 before the first."""
    newest: int = await connection.fetchval("SELECT coalesce(max(stream_number), 0) FROM stream_entry")
    return newest


async def read_stream(
    connection: Connection, public_url: str, *, after: int, limit: int, until: int | None = None
) -> list[tuple[int, Transition]]:
    """(number, transition) in order, from after number `after` on, to `until`."""
    rows = await connection.fetch(
        f"""
        SELECT stream_entry.stream_number, {TRANSITION_COLUMNS}
          FROM stream_entry
          JOIN transition USING (transition_id)
          JOIN incident USING (incident_id)
         WHERE stream_entry.stream_number > $1
           AND ($2::bigint IS NULL OR stream_entry.stream_number <= $2)
         ORDER BY stream_entry.stream_number
         LIMIT $3
        """,
        after,
        until,
        limit,
    )
    return [(row["stream_number"], transition_of(row, public_url)) for row in rows]
