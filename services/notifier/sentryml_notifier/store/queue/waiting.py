"""What waits on a channel: the queue of each incident, locked, what of it the next message covers, and its story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

import asyncpg

from sentryml_common.contracts.transition import Severity, State, Transition, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import OVER, DeliveryState, Waiting, next_batch
from sentryml_notifier.domain.message_input import Reminder, Story
from sentryml_notifier.domain.story_text import LIVE

Rows = Sequence[asyncpg.Record]
INCIDENTS_MAX = 500
"""In one message; what is left is the next one."""


@dataclass(frozen=True, slots=True)
class Due:
    """Locked deliveries of one incident that the next message covers, and its story."""

    rows: Rows
    story: Story

    @property
    def incident_id(self) -> UUID:
        return self.story.last.incident_id

    @property
    def is_obsolete(self) -> bool:
        """Whether it is a reminder of what has been seen meanwhile, or is over."""
        state = self.story.newest.to.state
        if self.story.long_drift_days:
            return state not in LIVE
        if self.story.still_critical:
            return state is not State.ACKNOWLEDGED or self.story.newest.to.severity is not Severity.CRITICAL
        return self.story.reminder is not None and state is not State.OPEN


async def most_urgent_incident(connection: Connection, channel_id: UUID, now: datetime) -> UUID | None:
    """The incident whose queue is to be served next: its head decides whether, its most urgent delivery how soon. A
    reminder is no head of anything but itself; but what comes behind one that is under way waits until it is sent.

    The index holds what waits in this order, so few rows are read however many there are.
    """
    incident_id: UUID | None = await connection.fetchval(
        """
        SELECT incident_id FROM delivery AS urgent
         WHERE channel_id = $1 AND state IN ('pending', 'sending')
           AND (SELECT due_at FROM delivery AS head
                 WHERE head.channel_id = $1 AND head.incident_id = urgent.incident_id
                   AND head.state IN ('pending', 'sending')
                 ORDER BY reminder > 0, sequence
                 LIMIT 1) <= $2
           AND NOT EXISTS (SELECT FROM delivery AS under_way
                            WHERE under_way.channel_id = $1 AND under_way.incident_id = urgent.incident_id
                              AND under_way.state = 'sending' AND under_way.due_at > $2)
         ORDER BY urgency, created_at, incident_id
         LIMIT 1
        """,
        channel_id, now,
    )  # fmt: skip
    return incident_id


async def lock_queues(connection: Connection, channel_id: UUID, incident_ids: Sequence[UUID]) -> dict[UUID, Rows]:
    """The queues of incidents on a channel, oldest first and long-drift questions last, locked in a fixed order."""
    rows = await connection.fetch(
        """
        SELECT d.delivery_id, d.incident_id, d.transition_id, d.route_id, d.sequence, d.reminder, d.long_drift_days,
               d.kind, d.urgency, d.state, d.send_id, d.due_at, d.attempts, d.failures, d.failing_since,
               d.possibly_sent, d.plain, d.last_text, d.created_at, d.was_undeliverable, d.opens, d.still_critical,
               d.held_until, t.alert
          FROM delivery AS d
          JOIN transition AS t USING (transition_id)
         WHERE d.channel_id = $1 AND d.incident_id = ANY ($2) AND d.state <> 'delivered'
           AND (d.parked_because = ANY ($3)) IS NOT TRUE
         ORDER BY d.incident_id, d.long_drift_days > 0, d.sequence, d.reminder
           FOR UPDATE OF d
        """,
        channel_id, list(incident_ids), OVER,
    )  # fmt: skip
    return {incident_id: list(queue) for incident_id, queue in groupby(rows, lambda row: row["incident_id"])}


def waiting_of(row: asyncpg.Record) -> Waiting:
    """A row of a queue, for deciding."""
    return Waiting(
        row["delivery_id"],
        row["sequence"],
        TransitionKind(row["kind"]),
        DeliveryState(row["state"]),
        row["was_undeliverable"],
        row["reminder"] > 0,
        row["long_drift_days"] > 0,
        row["alert"] is not False,
        row["opens"],
        row["still_critical"],
        row["held_until"] is not None,
    )


def may_go(rows: Rows, now: datetime) -> bool:
    """Whether something of them may be sent: nobody is sending them, or the lease has run out."""
    under_way = any(row["state"] == DeliveryState.SENDING and row["due_at"] > now for row in rows)
    return not under_way and any(row["state"] != DeliveryState.PARKED for row in rows)


def was_held(rows: Rows) -> bool:
    """Whether a route has held any of them."""
    return any(row["held_until"] is not None for row in rows)


def is_held(rows: Rows, now: datetime) -> bool:
    """Whether a route holds any of them still."""
    return any(row["held_until"] is not None and row["held_until"] > now for row in rows)


async def find_due(connection: Connection, incident_id: UUID, queue: Rows, now: datetime) -> Due | None:
    """What the next message about an incident covers; None if it is not due.

    A sender given up for lost may have noted its success just before the rows were locked.
    """
    taken = queue[: len(next_batch([waiting_of(row) for row in queue]))]
    if not any(row["state"] != DeliveryState.PARKED and row["due_at"] <= now for row in taken):
        return None
    (due,) = await with_stories(connection, {incident_id: taken})
    return due


async def choose(connection: Connection, taken: Mapping[UUID, Rows], first: UUID) -> list[Due]:
    """What one message covers of what is taken: the `first` incident, and the most urgent others."""
    order = sorted(taken, key=lambda each: (each != first, min(row["urgency"] for row in taken[each])))
    return await with_stories(connection, {each: taken[each] for each in order[:INCIDENTS_MAX]})


async def with_stories(connection: Connection, taken: Mapping[UUID, Rows]) -> list[Due]:
    """What is taken of each incident, with its story."""
    history = await read_history(connection, list(taken))
    return [
        Due(rows_of_one, await _story(connection, history[incident_id], rows_of_one))
        for incident_id, rows_of_one in taken.items()
    ]


async def read_history(connection: Connection, incident_ids: Sequence[UUID]) -> dict[UUID, list[Transition]]:
    """All steps of incidents, oldest first."""
    rows = await connection.fetch(
        """
        SELECT incident_id, message FROM transition
         WHERE incident_id = ANY ($1)
         ORDER BY incident_id, sequence
        """,
        incident_ids,
    )
    return {
        incident_id: [Transition.model_validate(row["message"]) for row in steps]
        for incident_id, steps in groupby(rows, lambda row: row["incident_id"])
    }


async def _story(connection: Connection, steps: Sequence[Transition], taken: Rows) -> Story:
    """The story of what is taken; after being parked or held it goes on to the newest step, a quiet one too."""
    # What was delivered before and is only reminded of is not repeated, if there is news.
    news = [row for row in taken if not row["reminder"]]
    last = (news or taken)[-1]
    reported = {row["transition_id"] for row in news} or {last["transition_id"]}
    first, last_sequence = taken[0]["sequence"], last["sequence"]
    if any(row["was_undeliverable"] or row["held_until"] for row in news):
        reported |= {step.transition_id for step in steps if step.sequence > first and not step.alert}
        last_sequence = max(step.sequence for step in steps if step.transition_id in reported)
    return Story(
        history=[step for step in steps if step.sequence <= last_sequence],
        reported=[step for step in steps if step.transition_id in reported],
        later=[step for step in steps if step.sequence > last_sequence],
        reminder=await _reminder(connection, last) if last["reminder"] else None,
    )


async def _reminder(connection: Connection, row: asyncpg.Record) -> Reminder:
    times = await connection.fetchval("SELECT remind_times FROM route WHERE route_id = $1", row["route_id"])
    return Reminder(row["reminder"], max(row["reminder"], times), row["long_drift_days"], row["still_critical"])
