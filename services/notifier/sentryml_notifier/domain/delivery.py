"""The life of a delivery, and what each answer of a channel means for it.

    pending ──claim──▶ sending ──delivered──▶ delivered
       ▲                 │ │
       ├──try again──────┘ └──parked──▶ parked     visible, with the reason in words
       └──fixed, works again, or time──┘

A delivery is never dropped: it ends as delivered, or stays parked where people see it. Sending has a lease; when
it runs out, another dispatcher takes over, and the message says that it may be a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.domain.routing import ALERTING, CLOSING
from sentryml_notifier.domain.thread import Learned

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 1.0, 300.0
GIVE_UP_AFTER = timedelta(hours=24)
RETRY_PARKED_AFTER = timedelta(minutes=15)
TRIED_AGAIN = "It is retried every 15 minutes; what waits is sent as soon as it works."
LONGEST_SEND = timedelta(seconds=15)
DEFAULT_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30.0, 3600.0

FOUND, NOT_CHECKED = "found", "not_checked"
NOTHING_SENT = frozenset({FOUND, NOT_CHECKED})
"""Reasons of attempts that ended before anything was sent: it had arrived before, or one could not find out."""


class DeliveryState(StrEnum):
    """Where a delivery is in its life."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"


class ParkedBecause(StrEnum):
    """Why a delivery is parked."""

    CHANNEL_BROKEN = "channel_broken"
    GAVE_UP = "gave_up"
    MESSAGE_REFUSED = "message_refused"
    CHANNEL_DELETED = "channel_deleted"  # for good: the person who deleted it was shown the number
    NOT_NEEDED = "not_needed"  # for good: a reminder of what has been seen meanwhile


OVER = (ParkedBecause.CHANNEL_DELETED, ParkedBecause.NOT_NEEDED)
"""Parked for good: nobody waits for these."""


class Outcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    RATE_LIMITED = "rate_limited"
    NOT_ACCEPTED = "not_accepted"  # surely not delivered; trying again may help
    UNCERTAIN = "uncertain"  # perhaps delivered: no answer, or one that leaves it open
    MESSAGE_REFUSED = "message_refused"  # this message's form is not accepted: our bug
    CHANNEL_REFUSED = "channel_refused"  # no message will be accepted until a person fixes something
    INTERRUPTED = "interrupted"  # the sender vanished; noted by the notifier that took over


@dataclass(frozen=True, slots=True)
class SendResult:
    """A channel's account of one attempt: `reason` is a code of a closed set, `text` a sentence for people.

    `for_good`: the receiver wants no more requests until somebody changes the channel's configuration. `learned`
    is to be kept for the next attempt, whatever the outcome.
    """

    outcome: Outcome
    reason: str
    text: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    for_good: bool = False
    learned: Learned | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that has not been delivered, as its incident's queue shows it. `alert` is that of its
    transition; `opens`: it is the first alert of the incident there; `held`: it was held by its route's schedule."""

    delivery_id: UUID
    sequence: int
    kind: TransitionKind
    state: DeliveryState
    was_undeliverable: bool = False
    reminder: bool = False
    long_drift: bool = False
    alert: bool = True
    opens: bool = False
    still_critical: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class RetryState:
    """The attempts so far: failed attempts in a row, since when, and whether one may have arrived."""

    failures: int = 0
    failing_since: datetime | None = None
    possibly_sent: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """The channel has it."""

    state: ClassVar = DeliveryState.DELIVERED
    at: datetime
    retry_state: RetryState


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Back to pending until `at`; after a rate limit the whole channel waits until then."""

    state: ClassVar = DeliveryState.PENDING
    at: datetime
    retry_state: RetryState


@dataclass(frozen=True, slots=True)
class Parked:
    """Undeliverable, and shown as such; a broken channel parks all its deliveries.

    It is retried `at` a time all the same, since nobody may notice it, except where only we can fix it.
    """

    state: ClassVar = DeliveryState.PARKED
    because: ParkedBecause
    retry_state: RetryState
    at: datetime


Next = Delivered | TryAgain | Parked


def next_batch(queue: Sequence[Waiting]) -> Sequence[Waiting]:
    """The part of an incident's queue, oldest first and long-drift questions last, that the next message covers.

    Parked ones before the head go along, so that nothing is sent out of order. An alert that was not delivered
    before its end goes out as one message with the end: never a lone "resolved", never an alert that is over. After
    being parked or held all that waits is one message: after a day of silence the current state is what matters. A
    reminder with anything behind it needs no message of its own. One of long drift asks something, so it does, unless a
    newer one is behind it.
    """
    head = next((place for place, each in enumerate(queue) if each.state is not DeliveryState.PARKED), None)
    if head is None:
        return ()
    while queue[head].reminder and head + 1 < len(queue):
        head += 1
    if any((each.was_undeliverable or each.held) and not each.reminder for each in queue[: head + 1]):
        return [each for place, each in enumerate(queue) if place <= head or not each.long_drift]
    last = head
    if any(each.kind in ALERTING and not each.reminder for each in queue[: head + 1]):
        last = max((place for place, each in enumerate(queue) if each.kind in CLOSING), default=head)
    return queue[: max(head, last) + 1]


def retry_refusal(state: DeliveryState, because: ParkedBecause | None) -> str | None:
    """Why a delivery cannot be retried now, in words; None if it can."""
    match state, because:
        case DeliveryState.DELIVERED, _:
            return "it has been delivered already"
        case DeliveryState.SENDING, _:
            return "it is being sent: check again in a moment"
        case DeliveryState.PARKED, ParkedBecause.CHANNEL_DELETED:
            return "its channel was deleted"
        case DeliveryState.PARKED, ParkedBecause.NOT_NEEDED:
            return "it was a reminder of an incident that has been acknowledged or is over"
    return None


def may_begin(lease_until: datetime, now: datetime) -> bool:
    """Whether to send what was claimed: a process that was frozen since must not, as another may have taken it over."""
    return now <= lease_until - LONGEST_SEND


def decide(result: SendResult, retry_state: RetryState, *, now: datetime, jitter: float) -> Next:
    """What an attempt's result means. `jitter` is a random number from [0, 1)."""
    match result.outcome:
        case Outcome.DELIVERED:
            return Delivered(now, retry_state)
        case Outcome.RATE_LIMITED:
            return TryAgain(now + _pause(result.retry_after_seconds, jitter), retry_state)
        case Outcome.NOT_ACCEPTED | Outcome.UNCERTAIN | Outcome.INTERRUPTED:
            possibly_sent = retry_state.possibly_sent or result.outcome is not Outcome.NOT_ACCEPTED
            return _back_off(replace(retry_state, possibly_sent=possibly_sent), now, jitter)
        case Outcome.MESSAGE_REFUSED:
            # The alert must survive our bug: once more, as plain text.
            again = TryAgain(now, replace(retry_state, plain=True))
            return Parked(ParkedBecause.MESSAGE_REFUSED, retry_state, now) if retry_state.plain else again
        case Outcome.CHANNEL_REFUSED:
            return Parked(ParkedBecause.CHANNEL_BROKEN, retry_state, now + RETRY_PARKED_AFTER)


def _back_off(retry_state: RetryState, now: datetime, jitter: float) -> Next:
    since = retry_state.failing_since or now
    failed = replace(retry_state, failures=retry_state.failures + 1, failing_since=since)
    if now - since >= GIVE_UP_AFTER:
        return Parked(ParkedBecause.GAVE_UP, failed, now + RETRY_PARKED_AFTER)
    # Full jitter: what failed together must not be retried together. The exponent is bounded for the float.
    longest = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(retry_state.failures, 30))
    return TryAgain(now + timedelta(seconds=jitter * longest), failed)


def _pause(retry_after_seconds: float | None, jitter: float) -> timedelta:
    """What was asked for and up to a tenth more; never for ever on a foreign word."""
    seconds = DEFAULT_PAUSE_SECONDS if retry_after_seconds is None else max(0.0, retry_after_seconds)
    return timedelta(seconds=min(seconds, LONGEST_PAUSE_SECONDS) * (1 + jitter / 10))
