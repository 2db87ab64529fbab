"""The queue of deliveries: claiming with a lease, and noting what became of an attempt.

Claims on one channel take turns on the channel's row, so two dispatchers never judge one queue at one moment. What
a sender notes counts only while the deliveries still carry its `send_id`: one that was away for too long changes
nothing any more, but its attempt is written down all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import (
    Delivered,
    DeliveryState,
    Next,
    Outcome,
    Parked,
    RetryState,
    SendResult,
)
from sentryml_notifier.domain.group_text import GroupReport, worst_first
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.domain.message import NO_FALLBACK, USUAL, Fallback, Presentation
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.domain.thread import Conversation
from sentryml_notifier.store.conversations import find_conversation
from sentryml_notifier.store.fallback import read_fallback
from sentryml_notifier.store.queue.groups import group_for_machines
from sentryml_notifier.store.queue.held import with_held
from sentryml_notifier.store.queue.together import Held, Together, Unneeded, with_company
from sentryml_notifier.store.queue.waiting import Rows, find_due, lock_queues, most_urgent_incident, was_held
from sentryml_notifier.store.routes import find_presentation

ENDED_AT_ONCE = 100
"""Obsolete reminders that one transaction ends: while it lasts, nobody else can claim on the channel."""

NOT_NEEDED_TEXT = "Not sent: what it reminded of has been seen, or is over."
INTERRUPTED = SendResult(
    Outcome.INTERRUPTED, "interrupted", "The sender stopped before it noted the answer; the message may have arrived."
)


@dataclass(frozen=True, slots=True)
class Sending:
    """One send under way: whose it is, and until when it may begin."""

    send_id: UUID
    channel_id: UUID
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class NotBefore:
    """The channel may not send before `at`: its pace, or what the other side has asked for."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Cleared:
    """Obsolete reminders were ended or alerts held for company, and more may follow: commit, and claim again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Deliveries of one incident, or of several of a group, to be sent in one message by the holder of the lease.

    `stories` are the incidents, the worst first; with a `report` the message is about the group. `group_id` is the
    group of the incident, and `thread_id` whose thread the message belongs to: the incident's, or the group's. `held`:
    the schedule of its route has held it.
    """

    sending: Sending
    delivery_ids: tuple[UUID, ...]
    stories: tuple[Story, ...]
    retry_state: RetryState
    last_text: str | None
    happened_at: datetime
    thread_id: UUID
    fallback: Fallback = NO_FALLBACK
    conversation: Conversation | None = None
    group_id: UUID | None = None
    report: GroupReport | None = None
    presentation: Presentation = USUAL
    held: bool = False

    @property
    def story(self) -> Story:
        """The incident, or the worst of them."""
        return self.stories[0]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a channel, and how alerts are grouped: on a channel that `people` read they are sent together, on any
    other the group is only named. Without `grouping` there are no groups."""

    grouping: Grouping | None = None
    people: bool = True


async def claim_due(
    connection: Connection,
    sending: Sending,
    fingerprint: str,
    now: datetime,
    rate: Rate | None = None,
    reader: Reader = Reader(),
) -> Claim | NotBefore | Cleared | None:
    """Take the most urgent due deliveries on a channel, of one incident or of several of a group, and a token of its
    bucket.

    Returns None if nothing is due, or when the channel may send again if it may not now. Reminders that come first and
    are obsolete are ended on the way, and alerts held that wait for company, ENDED_AT_ONCE at most.
    """
    channel = await _lock_channel(connection, sending.channel_id, fingerprint)
    if channel is None:
        return None
    free_at = rate.free_at(channel["bucket_full_at"], now) if rate else now
    free_at = max(free_at, channel["paused_until"] or now)
    if free_at > now:
        return NotBefore(free_at)
    for _ in range(ENDED_AT_ONCE):
        found = await _next(connection, sending.channel_id, reader, now)
        match found:
            case None:
                return None
            case Together():
                claim = await _claim(connection, sending, found, reader, now)
                if rate is not None:
                    await _take_token(connection, sending.channel_id, rate.full_after(channel["bucket_full_at"], now))
                return claim
            case Unneeded(rows=rows, text=text):
                await _end(connection, rows, text)
    return Cleared()


async def _next(
    connection: Connection, channel_id: UUID, reader: Reader, now: datetime
) -> Together | Unneeded | Held | None:
    """What is to be done next on a channel; None if nothing is due."""
    incident_id = await most_urgent_incident(connection, channel_id, now)
    if incident_id is None:
        return None
    queue = (await lock_queues(connection, channel_id, [incident_id])).get(incident_id, [])
    due = await find_due(connection, incident_id, queue, now)
    if due is None:
        return None
    if due.is_obsolete:
        return Unneeded(due.rows, NOT_NEEDED_TEXT)
    if reader.people and was_held(due.rows):
        return await with_held(connection, channel_id, due, now)
    if reader.grouping is None or not reader.people:
        return Together([due])
    return await with_company(connection, channel_id, queue, due, reader.grouping, now)


async def _claim(connection: Connection, sending: Sending, together: Together, reader: Reader, now: datetime) -> Claim:
    """Take what is sent together. What has waited for company is not late."""
    channel_id, taken = sending.channel_id, [row for part in together.parts for row in part.rows]
    stories = worst_first(part.story for part in together.parts)
    retry_state = await _take(connection, sending, taken, now)
    delivery_ids = tuple(row["delivery_id"] for row in taken)
    was_undeliverable = any(row["was_undeliverable"] for row in taken)
    story = stories[0]
    if together.group is None:
        happened_at = taken[-1]["created_at"] if story.reminder else story.last.at
    else:
        troubled = was_undeliverable or retry_state.failing_since is not None
        happened_at = min(row["created_at"] for row in taken) if troubled else now
    conversation, thread_id = await _thread(connection, channel_id, together, story.last.incident_id)
    return Claim(
        sending,
        delivery_ids,
        tuple(stories),
        retry_state,
        taken[0]["last_text"],
        happened_at,
        thread_id,
        await read_fallback(connection, delivery_ids) if was_undeliverable else NO_FALLBACK,
        conversation,
        await _group_id(connection, channel_id, together, story.last.incident_id, reader, now),
        together.report,
        await find_presentation(connection, delivery_ids[-1]),
        was_held(taken),
    )


async def _thread(
    connection: Connection, channel_id: UUID, together: Together, incident_id: UUID
) -> tuple[Conversation | None, UUID]:
    """The conversation that a message belongs to, if it has begun, and whose it is: of an incident that has none of its
    own, that of its group."""
    own = None if together.report else await find_conversation(connection, channel_id, incident_id)
    if own is not None or together.group is None:
        return own, incident_id
    group_id = together.group.group_id
    shared = await find_conversation(connection, channel_id, group_id)
    return shared, group_id if shared or together.report else incident_id


async def _group_id(
    connection: Connection, channel_id: UUID, together: Together, incident_id: UUID, reader: Reader, now: datetime
) -> UUID | None:
    if together.group is not None:
        return together.group.group_id
    if reader.grouping is None or reader.people:
        return None
    return await group_for_machines(connection, channel_id, incident_id, reader.grouping.window, now)


async def _lock_channel(connection: Connection, channel_id: UUID, fingerprint: str) -> asyncpg.Record | None:
    """Take one's turn on the channel, if it works and its secret is the one we hold."""
    return await connection.fetchrow(
        """
        SELECT paused_until, bucket_full_at FROM channel
         WHERE channel_id = $1 AND fingerprint = $2 AND state = 'active'
           FOR NO KEY UPDATE
        """,
        channel_id,
        fingerprint,
    )


async def _take_token(connection: Connection, channel_id: UUID, full_at: datetime) -> None:
    await connection.execute("UPDATE channel SET bucket_full_at = $2 WHERE channel_id = $1", channel_id, full_at)


async def _take(connection: Connection, sending: Sending, taken: Rows, now: datetime) -> RetryState:
    abandoned = [row for row in taken if row["state"] == DeliveryState.SENDING]
    for row in abandoned:
        await note_attempt(connection, [row["delivery_id"]], row["send_id"], INTERRUPTED, now)
    retry_state = RetryState(
        failures=max(row["failures"] for row in taken),
        failing_since=min((row["failing_since"] for row in taken if row["failing_since"]), default=None),
        possibly_sent=bool(abandoned) or any(row["possibly_sent"] for row in taken),
        plain=any(row["plain"] for row in taken),
    )
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'sending', send_id = $2, due_at = $3, attempts = attempts + 1, parked_because = NULL,
               possibly_sent = $4
         WHERE delivery_id = ANY ($1)
        """,
        [row["delivery_id"] for row in taken], sending.send_id, sending.lease_until, retry_state.possibly_sent,
    )  # fmt: skip
    return retry_state


async def _end(connection: Connection, rows: Rows, text: str) -> None:
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'parked', parked_because = 'not_needed', send_id = NULL, last_text = $2
         WHERE delivery_id = ANY ($1)
        """,
        [row["delivery_id"] for row in rows], text,
    )  # fmt: skip


async def note_attempt(
    connection: Connection, delivery_ids: Sequence[UUID], send_id: UUID, result: SendResult, at: datetime
) -> None:
    """Record an attempt, for each delivery that it covered."""
    await connection.executemany(
        """
        INSERT INTO attempt (delivery_id, send_id, at, outcome, reason, text, http_status)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT ON CONSTRAINT attempt_noted_once DO NOTHING
        """,
        [
            (each, send_id, at, result.outcome.value, result.reason, result.text, result.http_status)
            for each in delivery_ids
        ],
    )


async def set_next(connection: Connection, send_id: UUID, decided: Next, text: str) -> bool:
    """Move the deliveries of a send to where they go next; False if they are no longer its own."""
    status = await connection.execute(
        """
        UPDATE delivery
           SET state = $2, send_id = NULL, due_at = $3, failures = $4, failing_since = $5, possibly_sent = $6,
               plain = $7, parked_because = $8, last_text = $9, delivered_at = $10,
               was_undeliverable = was_undeliverable OR $2 = 'parked'
         WHERE send_id = $1
        """,
        send_id, decided.state.value, decided.at, *astuple(decided.retry_state),
        decided.because.value if isinstance(decided, Parked) else None, text,
        decided.at if isinstance(decided, Delivered) else None,
    )  # fmt: skip
    return status != "UPDATE 0"
