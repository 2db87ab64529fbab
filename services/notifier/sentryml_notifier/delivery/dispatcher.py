"""The dispatcher: claims what is due, sends it, writes down what became of it, and decides what comes next.

No transaction is open while a message is under way: the claim is a lease. If this process dies, the lease runs out
and the next dispatcher sends again, marked as a repeat: at least once, and never twice without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_common.waiting import happened, wait_for
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.base import Outgoing, Resending
from sentryml_notifier.domain.delivery import (
    NOTHING_SENT,
    RETRY_PARKED_AFTER,
    Delivered,
    Next,
    Outcome,
    SendResult,
    TryAgain,
    decide,
    may_begin,
)
from sentryml_notifier.domain.group_text import compose_group
from sentryml_notifier.domain.grouping import About, Grouping
from sentryml_notifier.domain.holding.summary import compose_held
from sentryml_notifier.domain.message import Message, compose, presented, with_delivery_notes
from sentryml_notifier.domain.thread import Learned
from sentryml_notifier.metrics import (
    DELIVERY_DUPLICATE_TOTAL,
    DELIVERY_LATENCY_SECONDS,
    DELIVERY_TOTAL,
    REMINDER,
    expose_zero,
)
from sentryml_notifier.store import channels, conversations, fallback, resending
from sentryml_notifier.store.queue import queue
from sentryml_notifier.store.queue.queue import Claim, Cleared, NotBefore, Reader, Sending

log = get_logger(__name__)

IN_TROUBLE_AFTER_FAILURES = 3
CHECK_PARKED_SECONDS = 15.0
CHECK_CHANNELS_SECONDS, CHECK_BROKEN_SECONDS = 2.0, 2.0
SHORTEST_REST_SECONDS = 0.01
REPORTED_LOGGED = 20

NOT_COMPOSED = SendResult(
    Outcome.MESSAGE_REFUSED, "not_composed", "The message could not be composed: a defect of SentryML, see its log."
)
TOO_LATE = SendResult(
    Outcome.NOT_ACCEPTED,
    "claimed_too_long_ago",
    "Nothing was sent: the notifier was frozen after it claimed this delivery, until the lease was nearly over.",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a dispatcher works: its workers, how often it polls, how long a lease lasts."""

    workers: int
    poll_seconds: float
    lease: timedelta


class Dispatcher:
    """Sends what is due on the channels of the registry. Clock, randomness and new ids are injected."""

    def __init__(
        self,
        pool: Pool,
        registry: ChannelRegistry,
        pace: Pace,
        health: Health,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        new_id: Callable[[], UUID],
        grouping: Grouping | None = None,
    ) -> None:
        self._pool, self._registry, self._pace, self._health = pool, registry, pace, health
        self._clock, self._jitter, self._new_id, self._grouping = clock, jitter, new_id, grouping
        self._woken, self._broken, self._waiting = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._free_at: dict[UUID, datetime] = {}

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._woken.set()

    async def run(self) -> None:
        """Dispatch on the channels there are until cancelled; a message under way is then finished and written down."""
        served: dict[UUID, tuple[OpenChannel, asyncio.Task[None]]] = {}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_over(), name="fallback")
            while True:
                found = await self._patiently(self._registry.read)
                for channel_id, (channel, task) in list(served.items()):
                    if found.get(channel_id) is not channel:
                        del served[channel_id]
                        task.cancel()
                        await asyncio.wait({task})
                for channel_id in found.keys() - served.keys():
                    channel = found[channel_id]
                    served[channel_id] = channel, group.create_task(self._serve(channel), name=f"serve-{channel.name}")
                await happened(self._registry.changed, CHECK_CHANNELS_SECONDS)

    async def _serve(self, channel: OpenChannel) -> None:
        expose_zero(channel.name)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._revive(channel), name=f"revive-{channel.name}")
            for number in range(self._pace.workers):
                group.create_task(self._work(channel), name=f"dispatch-{channel.name}-{number}")

    async def _work(self, channel: OpenChannel) -> None:
        while True:
            if not await self._patiently(lambda: to_the_end(self.dispatch_one(channel))):
                await self._rest(channel)

    async def _revive(self, channel: OpenChannel) -> None:
        while True:
            await self._patiently(lambda: self.revive_once(channel))
            await asyncio.sleep(CHECK_PARKED_SECONDS)

    async def _hand_over(self) -> None:
        while True:
            await self._patiently(self.hand_over_once)
            await happened(self._broken, CHECK_BROKEN_SECONDS)
            self._broken.clear()

    async def hand_over_once(self) -> None:
        """Hand what is parked on broken channels to their fallbacks."""
        async with transaction(self._pool) as connection:
            given = await fallback.hand_over(connection, self._clock())
        if given:
            log.info("deliveries_given_to_fallback", deliveries=given)
            self.wake()

    async def revive_once(self, channel: OpenChannel) -> None:
        """Retry what is parked, if it is time: nobody may notice a channel that works again."""
        async with transaction(self._pool) as connection:
            await channels.lock_channel(connection, channel.channel_id)
            revived = await channels.revive_parked(connection, channel.channel_id, channel.fingerprint, self._clock())
        if revived:
            log.info("parked_deliveries_retried", channel=channel.name, deliveries=revived)
            self.wake()

    async def _rest(self, channel: OpenChannel) -> None:
        """Wait until somebody wakes us, the channel may send again, or it is time to poll."""
        free_at = self._free_at.pop(channel.channel_id, None)
        if free_at is not None:
            seconds = (free_at - self._clock()).total_seconds()
            # Nobody can send before, so waking is for the others.
            await asyncio.sleep(min(max(seconds, SHORTEST_REST_SECONDS), self._pace.poll_seconds))
        elif await happened(self._woken, self._pace.poll_seconds):
            self._woken.clear()

    async def dispatch_one(self, channel: OpenChannel) -> bool:
        """Claim, send and note one message, or clear the way to it; False if nothing was due.

        Raises:
            Unavailable: PostgreSQL is away, and nothing was sent.
        """
        claim = await self._claim(channel)
        if claim is None or isinstance(claim, Cleared):
            return claim is not None
        if not may_begin(claim.sending.lease_until, self._clock()):
            log.warning("lease_too_old_to_send", channel=channel.name, send_id=str(claim.sending.send_id))
            await self._patiently(lambda: self._give_back(channel, claim))
            return True
        result = await self._send(channel, claim)
        learned = result.learned
        if learned is not None:
            await self._patiently(lambda: self._keep(learned))
        await self._patiently(lambda: self._note(channel, claim, result))
        return True

    async def _claim(self, channel: OpenChannel) -> Claim | Cleared | None:
        now = self._clock()
        sending = Sending(self._new_id(), channel.channel_id, now + self._pace.lease)
        reader = Reader(self._grouping, channel.for_people)
        async with transaction(self._pool) as connection:
            found = await queue.claim_due(connection, sending, channel.fingerprint, now, channel.rate, reader)
        if isinstance(found, NotBefore):
            self._free_at[channel.channel_id] = found.at
            return None
        return found

    async def _send(self, channel: OpenChannel, claim: Claim) -> SendResult:
        try:
            message = self._compose(claim)
        except Exception:
            # One incident that cannot be put into words must not block all others.
            log.exception("message_not_composed", send_id=str(claim.sending.send_id))
            return NOT_COMPOSED
        result = await channel.send(
            Outgoing(
                message,
                claim.story,
                claim.sending.send_id,
                claim.delivery_ids,
                possibly_sent=claim.retry_state.possibly_sent,
                plain=claim.retry_state.plain,
                conversation=claim.conversation,
                group_id=claim.group_id,
                thread_id=claim.thread_id,
                of_group=claim.report is not None,
            )
        )
        if claim.retry_state.possibly_sent and result.reason not in NOTHING_SENT:
            DELIVERY_DUPLICATE_TOTAL.labels(channel=channel.name).inc()
        return result

    def _compose(self, claim: Claim) -> Message:
        return with_delivery_notes(
            presented(_composed(claim), claim.presentation),
            possibly_sent=claim.retry_state.possibly_sent,
            happened_at=claim.happened_at,
            now=self._clock(),
            reason=claim.last_text,
            fallback=claim.fallback,
        )

    async def _note(self, channel: OpenChannel, claim: Claim, result: SendResult) -> None:
        now = self._clock()
        decided = decide(result, claim.retry_state, now=now, jitter=self._jitter())
        async with transaction(self._pool) as connection:
            await channels.lock_channel(connection, channel.channel_id)
            await queue.note_attempt(connection, claim.delivery_ids, claim.sending.send_id, result, now)
            ours = await queue.set_next(connection, claim.sending.send_id, decided, result.text)
            await self._affect_channel(connection, channel, result, decided, now)
            if ours and isinstance(decided, Delivered) and isinstance(channel.channel, Resending):
                next_at = now + channel.channel.resend_after
                for story in claim.stories:
                    await resending.note_delivered(connection, channel.channel_id, story.last, next_at)
            if isinstance(decided, TryAgain):
                await channels.park_if_broken(connection, channel.channel_id)
        if result.outcome is Outcome.CHANNEL_REFUSED:
            self._broken.set()
        self._report(channel, claim, result, decided, ours)

    async def _affect_channel(
        self, connection: Connection, channel: OpenChannel, result: SendResult, decided: Next, now: datetime
    ) -> None:
        """What one attempt says about the whole channel."""
        match result.outcome:
            case Outcome.DELIVERED:
                failures = await channels.count_success(connection, channel.channel_id)
                if failures >= IN_TROUBLE_AFTER_FAILURES:
                    # It works again: what backs off or was given up need not wait any longer.
                    await channels.release_waiting(connection, channel.channel_id, now)
            case Outcome.RATE_LIMITED:
                assert isinstance(decided, TryAgain)
                await channels.pause_channel(connection, channel.channel_id, decided.at)
            case Outcome.CHANNEL_REFUSED:
                retry_at = None if result.for_good else now + RETRY_PARKED_AFTER
                broken = await channels.break_channel(
                    connection, channel.channel_id, channel.fingerprint, result.text, retry_at
                )
                if not broken:
                    # Its secret has been replaced: the notifier that holds the new one sends.
                    await channels.release_waiting(connection, channel.channel_id, now)
            case Outcome.NOT_ACCEPTED | Outcome.UNCERTAIN:
                await channels.count_failure(connection, channel.channel_id)

    def _report(self, channel: OpenChannel, claim: Claim, result: SendResult, decided: Next, ours: bool) -> None:
        last = claim.story.last
        labels = {"channel": channel.name, "outcome": result.outcome.value, "reason": result.reason}
        stories = claim.stories
        reported = [
            kind
            for story in stories
            for kind in ([REMINDER] if story.reminder else [step.kind.value for step in story.reported])
        ]
        for kind in reported:
            DELIVERY_TOTAL.labels(kind=kind, **labels).inc()
        if isinstance(decided, Delivered) and not (claim.story.reminder or claim.held):
            since = last.at if claim.report is None else claim.happened_at
            DELIVERY_LATENCY_SECONDS.labels(channel=channel.name).observe((self._clock() - since).total_seconds())
        level = log.info if isinstance(decided, Delivered) else log.warning
        level(
            "delivery_attempted",
            **labels,
            text=result.text,
            http_status=result.http_status,
            model_id=last.model_id,
            incident_number=last.incident_number,
            incidents=len(stories),
            group_id=str(claim.group_id) if claim.group_id else None,
            reported=reported[:REPORTED_LOGGED],
            next=type(decided).__name__,
            next_at=decided.at.isoformat() if isinstance(decided, TryAgain) else None,
            lease_kept=ours,
        )

    async def _keep(self, learned: Learned) -> None:
        # Before the note and apart from it: who takes over after a crash in between looks for what was sent.
        async with transaction(self._pool) as connection:
            await conversations.save_learned(connection, learned, self._clock())

    async def _give_back(self, channel: OpenChannel, claim: Claim) -> None:
        """Let go of what nothing was sent of, as it was: who takes it up next need not call it a repeat."""
        now = self._clock()
        async with transaction(self._pool) as connection:
            await channels.lock_channel(connection, channel.channel_id)
            await queue.note_attempt(connection, claim.delivery_ids, claim.sending.send_id, TOO_LATE, now)
            again = TryAgain(now, claim.retry_state)
            await queue.set_next(connection, claim.sending.send_id, again, TOO_LATE.text)
            await channels.park_if_broken(connection, channel.channel_id)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something once, however long PostgreSQL is away."""
        while True:
            try:
                return await work()
            except Unavailable:
                await self._wait_for_postgres()

    async def _wait_for_postgres(self) -> None:
        async def ask() -> None:
            async with transaction(self._pool):
                pass

        # One worker waits and says so; the others wait for that one.
        async with self._waiting:
            await wait_for("postgres", "PostgreSQL", ask, self._health, (Unavailable,))


def _composed(claim: Claim) -> Message:
    if claim.report is None:
        return compose(claim.story)
    return compose_held(claim.report) if claim.report.about is About.HELD else compose_group(claim.report)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; if cancelled meanwhile, let it end first, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
