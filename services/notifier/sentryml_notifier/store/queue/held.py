"""What is sent together when a hold ends: all that was held on a channel that people read, as one summary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER
from sentryml_notifier.domain.group_text import GroupReport, is_live, worst_first
from sentryml_notifier.domain.grouping import About, AlertGroup
from sentryml_notifier.store.queue import groups
from sentryml_notifier.store.queue.together import Together, in_doubt, whole_rows
from sentryml_notifier.store.queue.waiting import Due, Rows, choose, is_held, lock_queues, may_go, was_held


async def with_held(connection: Connection, channel_id: UUID, due: Due, now: datetime) -> Together:
    """What is sent with a batch whose hold is over: everything else whose hold is over. One incident is a message of
    its own; several are a summary, and an alert group from then on, so that their ends are one message too.

    What may have arrived is not mixed with what has not.
    """
    doubt = in_doubt(due.rows)
    taken = {
        incident_id: batch
        for incident_id, batch in (await _queues(connection, channel_id, due.incident_id, now)).items()
        if incident_id == due.incident_id
        or (in_doubt(batch) == doubt and was_held(batch) and not is_held(batch, now) and may_go(batch, now))
    }
    if len(taken) == 1:
        return Together([due])
    parts = await choose(connection, taken, due.incident_id)
    group = await _group(connection, channel_id, [row for part in parts for row in part.rows], now)
    return Together(parts, group, _report(group, parts))


async def _queues(connection: Connection, channel_id: UUID, incident_id: UUID, now: datetime) -> dict[UUID, Rows]:
    """What waits of each incident of which something was held, as one message would cover it."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT incident_id FROM delivery
         WHERE channel_id = $1 AND held_until IS NOT NULL AND held_until <= $2 AND state <> 'delivered'
           AND (parked_because = ANY ($3)) IS NOT TRUE
        """,
        channel_id, now, OVER,
    )  # fmt: skip
    queues = await lock_queues(connection, channel_id, sorted({incident_id, *(row["incident_id"] for row in rows)}))
    return {each: batch for each, queue in queues.items() if (batch := whole_rows(queue))}


async def _group(connection: Connection, channel_id: UUID, rows: Rows, now: datetime) -> AlertGroup:
    """The group of a summary: the one that an earlier attempt has made, or a new one, closed from the start."""
    delivery_ids: Sequence[UUID] = [row["delivery_id"] for row in rows]
    group = await groups.find_group_of_summary(connection, delivery_ids)
    if group is None:
        group = await groups.make_group_of_summary(connection, channel_id, min(row["created_at"] for row in rows), now)
    await groups.join(connection, delivery_ids, group)
    return group


def _report(group: AlertGroup, parts: Sequence[Due]) -> GroupReport:
    stories = worst_first(part.story for part in parts)
    return GroupReport(group, About.HELD, stories, len(stories), sum(map(is_live, stories)))
