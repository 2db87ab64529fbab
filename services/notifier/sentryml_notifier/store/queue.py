"""The queue of deliveries: claiming with a lease, and noting what became of an attempt.

Claims on one channel take turns on the channel's row, so two dispatchers never judge one queue at one moment. What
a sender notes counts only while the deliveries still carry its `send_id`: one that was away for too long changes
nothing any more, but its attempt is written down all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from sentryml_common.contracts.transition import State, Transition, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import (
    OVER,
    Delivered,
    DeliveryState,
    Next,
    Outcome,
    Parked,
    RetryState,
    SendResult,
    TryAgain,
    Waiting,
    next_batch,
)
from sentryml_notifier.domain.message import NO_FALLBACK, Fallback
from sentryml_notifier.domain.message_input import Reminder, Story
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.domain.story_text import LIVE
from sentryml_notifier.domain.thread import Conversation
from sentryml_notifier.store.conversations import find_conversation
from sentryml_notifier.store.fallback import read_fallback

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
    """Obsolete reminders were ended, and more may follow: commit, and claim again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Deliveries of one incident, to be sent in one message by the holder of the lease."""

    sending: Sending
    delivery_ids: tuple[UUID, ...]
    story: Story
    retry_state: RetryState
    last_text: str | None
    happened_at: datetime
    fallback: Fallback = NO_FALLBACK
    conversation: Conversation | None = None


async def claim_due(
    connection: Connection, sending: Sending, fingerprint: str, now: datetime, rate: Rate | None = None
) -> Claim | NotBefore | Cleared | None:
    """Take the most urgent due deliveries of one incident on a channel, and a token of its bucket.

    Returns None if nothing is due, or when the channel may send again if it may not now. Reminders that come first and
    are obsolete are ended on the way, ENDED_AT_ONCE at most.
    """
    channel = await _lock_channel(connection, sending.channel_id, fingerprint)
    if channel is None:
        return None
    free_at = rate.free_at(channel["bucket_full_at"], now) if rate else now
    free_at = max(free_at, channel["paused_until"] or now)
    if free_at > now:
        return NotBefore(free_at)
    for _ in range(ENDED_AT_ONCE):
        due = await _most_urgent(connection, sending.channel_id, now)
        if due is None:
            return None
        if not due.is_obsolete:
            claim = await _claim(connection, sending, due, now)
            if rate is not None:
                await _take_token(connection, sending.channel_id, rate.full_after(channel["bucket_full_at"], now))
            return claim
        await _end_reminders(connection, due.rows)
    return Cleared()


@dataclass(frozen=True, slots=True)
class _Due:
    """Locked deliveries of one incident that the next message covers, and its story."""

    rows: Sequence[asyncpg.Record]
    story: Story

    @property
    def is_obsolete(self) -> bool:
        """Whether it is a reminder of what has been seen meanwhile, or is over."""
        state = self.story.newest.to.state
        if self.story.long_drift_days:
            return state not in LIVE
        return self.story.reminder is not None and state is not State.OPEN


async def _most_urgent(connection: Connection, channel_id: UUID, now: datetime) -> _Due | None:
    incident_id = await most_urgent_incident(connection, channel_id, now)
    if incident_id is None:
        return None
    rows = await _lock_queue(connection, channel_id, incident_id)
    queue = [
        Waiting(
            row["delivery_id"],
            row["sequence"],
            TransitionKind(row["kind"]),
            DeliveryState(row["state"]),
            row["was_undeliverable"],
            row["reminder"] > 0,
            row["long_drift_days"] > 0,
        )
        for row in rows
    ]
    taken = rows[: len(next_batch(queue))]
    # A sender given up for lost may have noted its success just before the rows were locked.
    if not any(row["state"] != DeliveryState.PARKED and row["due_at"] <= now for row in taken):
        return None
    return _Due(taken, await _story(connection, incident_id, taken))


async def _claim(connection: Connection, sending: Sending, due: _Due, now: datetime) -> Claim:
    taken, story = due.rows, due.story
    retry_state = await _take(connection, sending, taken, now)
    delivery_ids = tuple(row["delivery_id"] for row in taken)
    was_undeliverable = any(row["was_undeliverable"] for row in taken)
    fallback = await read_fallback(connection, delivery_ids) if was_undeliverable else NO_FALLBACK
    happened_at = taken[-1]["created_at"] if story.reminder else story.last.at
    conversation = await find_conversation(connection, sending.channel_id, story.last.incident_id)
    return Claim(sending, delivery_ids, story, retry_state, taken[0]["last_text"], happened_at, fallback, conversation)


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


async def most_urgent_incident(connection: Connection, channel_id: UUID, now: datetime) -> UUID | None:
    """The incident whose queue is to be served next: its head decides whether, its most urgent delivery how soon. A
    reminder is no head of anything but itself.

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
         ORDER BY urgency, created_at, incident_id
         LIMIT 1
        """,
        channel_id, now,
    )  # fmt: skip
    return incident_id


async def _lock_queue(connection: Connection, channel_id: UUID, incident_id: UUID) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT delivery_id, transition_id, route_id, sequence, reminder, long_drift_days, kind, state, send_id, due_at,
               failures, failing_since, possibly_sent, plain, last_text, created_at, was_undeliverable
          FROM delivery
         WHERE channel_id = $1 AND incident_id = $2 AND state <> 'delivered'
           AND (parked_because = ANY ($3)) IS NOT TRUE
         ORDER BY long_drift_days > 0, sequence, reminder
           FOR UPDATE
        """,
        channel_id, incident_id, OVER,
    )  # fmt: skip


async def _take(connection: Connection, sending: Sending, taken: Sequence[asyncpg.Record], now: datetime) -> RetryState:
    abandoned = [row for row in taken if row["state"] == DeliveryState.SENDING]
    for row in abandoned:
        await _insert_attempts(connection, [row["delivery_id"]], row["send_id"], INTERRUPTED, now)
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


async def _end_reminders(connection: Connection, taken: Sequence[asyncpg.Record]) -> None:
    await connection.execute(
        """
        UPDATE delivery
           SET state = 'parked', parked_because = 'not_needed', send_id = NULL, last_text = $2
         WHERE delivery_id = ANY ($1)
        """,
        [row["delivery_id"] for row in taken], NOT_NEEDED_TEXT,
    )  # fmt: skip


async def _story(connection: Connection, incident_id: UUID, taken: Sequence[asyncpg.Record]) -> Story:
    """The story of what is taken; after being parked it goes on to the newest step, a quiet one too."""
    rows = await connection.fetch(
        """
        SELECT message FROM transition
         WHERE incident_id = $1
         ORDER BY sequence
        """,
        incident_id,
    )
    # What was delivered before and is only reminded of is not repeated, if there is news.
    news = [row for row in taken if not row["reminder"]]
    last = (news or taken)[-1]
    reported = {row["transition_id"] for row in news} or {last["transition_id"]}
    first, last_sequence = taken[0]["sequence"], last["sequence"]
    steps = [Transition.model_validate(row["message"]) for row in rows]
    if any(row["was_undeliverable"] for row in news):
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
    return Reminder(row["reminder"], max(row["reminder"], times), row["long_drift_days"])


async def note_attempt(connection: Connection, claim: Claim, result: SendResult, at: datetime) -> None:
    """Record an attempt, for each delivery that it covered."""
    await _insert_attempts(connection, claim.delivery_ids, claim.sending.send_id, result, at)


async def _insert_attempts(
    connection: Connection, delivery_ids: Sequence[UUID], send_id: UUID, result: SendResult, at: datetime
) -> None:
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


async def set_next(connection: Connection, send_id: UUID, decided: Next, text: str, at: datetime) -> bool:
    """Move the deliveries of a send to where they go next; False if they are no longer its own."""
    state, retry_state, due_at = _columns(decided, at)
    status = await connection.execute(
        """
        UPDATE delivery
           SET state = $2, send_id = NULL, due_at = $3, failures = $4, failing_since = $5, possibly_sent = $6,
               plain = $7, parked_because = $8, last_text = $9, delivered_at = $10,
               was_undeliverable = was_undeliverable OR $2 = 'parked'
         WHERE send_id = $1
        """,
        send_id, state.value, due_at, retry_state.failures, retry_state.failing_since,
        retry_state.possibly_sent, retry_state.plain,
        decided.because.value if isinstance(decided, Parked) else None, text,
        at if isinstance(decided, Delivered) else None,
    )  # fmt: skip
    return status != "UPDATE 0"


def _columns(decided: Next, at: datetime) -> tuple[DeliveryState, RetryState, datetime]:
    match decided:
        case Delivered(retry_state=retry_state):
            return DeliveryState.DELIVERED, retry_state, at
        case TryAgain(at=due_at, retry_state=retry_state):
            return DeliveryState.PENDING, retry_state, due_at
        case Parked(retry_state=retry_state, retry_at=due_at):
            return DeliveryState.PARKED, retry_state, due_at
