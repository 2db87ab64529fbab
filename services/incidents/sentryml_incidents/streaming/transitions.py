"""The hub of `GET /v1/stream`: hears PostgreSQL once per process, and tells every client that follows.

Transitions are read by their stream number once per wake-up, however many follow; the wake-up is only a hint, and the
hub looks every second anyway. Evaluations, new models and deliveries are in the notification itself, and told as they
come.
Nobody waits for anybody: who does not take its events ends, and resumes later from where it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.delivery import DeliveryState
from sentryml_common.contracts.evaluation import InsufficientReason, Level
from sentryml_common.contracts.message import UtcDatetime, encode
from sentryml_common.contracts.transition import Transition
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import AWAY, CONNECT_TIMEOUT_SECONDS, Connection, Pool
from sentryml_incidents.metrics import STREAM_CLIENTS, STREAM_OVERFLOWS_TOTAL
from sentryml_incidents.store.people.api_keys import find_spent_keys
from sentryml_incidents.store.transition_numbers import (
    CHANNEL,
    newest_number,
    number_transitions,
    read_stream,
)
from sentryml_incidents.streaming.pages import Live

log = get_logger(__name__)

POLL_SECONDS = 1.0
PAGE_ROWS = 500
MOST_WAITING = 1_000
"""Events that may wait for one client: some 2 MB."""


class EventKind(StrEnum):
    """What the stream tells."""

    TRANSITION = "transition"
    EVALUATION = "evaluation"
    MODEL = "model"
    DELIVERY = "delivery"


class EvaluationHint(BaseModel):
    """A model has a newer evaluation: what was found, in short."""

    model_id: str
    evaluation_id: UUID
    evaluated_at: UtcDatetime
    level: Level
    reason: InsufficientReason | None
    psi: float | None


class ModelHint(BaseModel):
    """A model was seen for the first time."""

    model_id: str
    first_seen: UtcDatetime


class DeliveryHint(BaseModel):
    """What has become of an alert has changed: it stands among the incident's deliveries."""

    model_id: str
    incident_id: UUID
    transition_id: UUID
    delivery_id: UUID
    revision: int
    state: DeliveryState


HINTS: dict[EventKind, type[EvaluationHint | ModelHint | DeliveryHint]] = {
    EventKind.EVALUATION: EvaluationHint,
    EventKind.MODEL: ModelHint,
    EventKind.DELIVERY: DeliveryHint,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its JSON; only transitions have a number."""

    kind: EventKind
    model_id: str
    data: str
    number: int | None = None


class Subscription:
    """What waits for one client. `wants` says which events are for it."""

    def __init__(self, key_id: str, wants: Callable[[Event], bool]) -> None:
        self.key_id, self.wants = key_id, wants
        self.ended = False
        self._waiting: deque[Event] = deque()
        self._changed = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Take an event; one that finds no room ends the subscription, since what came before must not be lost."""
        if self.ended or not self.wants(event):
            return
        if len(self._waiting) >= MOST_WAITING:
            STREAM_OVERFLOWS_TOTAL.inc()
            self.end()
            return
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self.ended = True
        self._changed.set()

    async def take(self, seconds: float) -> list[Event]:
        """What waits, as soon as there is something; nothing after some seconds, or at the end."""
        if not self._waiting and not self.ended:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass  # something may have come in this very moment, so look
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Stream:
    """Tells subscriptions what happens. `position` is the number up to which they were told; None before the start.
    `live` are the open pages, which hear of it, too."""

    def __init__(self, public_url: str, clock: Clock = system_clock) -> None:
        self._public_url, self._clock = public_url, clock
        self._subscriptions: set[Subscription] = set()
        self._wake = asyncio.Event()
        self._closed = False
        self.position: int | None = None
        self.live = Live(clock)

    def subscribe(self, key_id: str, wants: Callable[[Event], bool]) -> Subscription:
        """Be told all that comes after `position` from now on."""
        subscription = Subscription(key_id, wants)
        self._subscriptions.add(subscription)
        STREAM_CLIENTS.set(len(self._subscriptions))
        if self._closed:
            subscription.end()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be told no more."""
        self._subscriptions.discard(subscription)
        STREAM_CLIENTS.set(len(self._subscriptions))

    def close(self) -> None:
        """End every subscription, and those to come: the service stops."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()
        self.live.close()

    async def run(self, pool: Pool) -> None:
        """Tell until cancelled. While PostgreSQL is away there is nothing to tell; nothing is left out afterwards."""
        while True:
            try:
                async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
                    await self._hear(connection)
            except AWAY as err:
                log.warning("stream_waits", why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(POLL_SECONDS)

    async def _hear(self, connection: Connection) -> None:
        await connection.add_listener(CHANNEL, self._on_notify)
        self.live.lose_track()  # of evaluations that were told while nobody listened
        try:
            while True:
                self._wake.clear()
                await self._tell_transitions(connection)
                await self._end_spent(connection)
                await self._woken()
        finally:
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, self._on_notify)

    async def _tell_transitions(self, connection: Connection) -> None:
        async with connection.transaction():
            await number_transitions(connection)
        if self.position is None:
            self.position = await newest_number(connection)
        while True:
            page = await read_stream(connection, self._public_url, after=self.position, limit=PAGE_ROWS)
            for number, transition in page:
                self.live.note(EventKind.TRANSITION, transition.model_id)
                self._tell(event_of(number, transition))
                self.position = number
            if len(page) < PAGE_ROWS:
                return

    async def _end_spent(self, connection: Connection) -> None:
        """A key that is revoked or expires ends its streams."""
        keys = {each.key_id for each in self._subscriptions}
        if not keys:
            return
        spent = await find_spent_keys(connection, keys, self._clock())
        for subscription in self._subscriptions:
            if subscription.key_id in spent:
                subscription.end()

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _on_notify(self, *heard: Any) -> None:
        payload: str = heard[-1]
        if not payload:
            self._wake.set()
            return
        told = orjson.loads(payload)
        self.live.note(told["kind"], told["model_id"])
        if self._subscriptions:
            self._tell(_hint_of(told))

    def _tell(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)


def event_of(number: int, transition: Transition) -> Event:
    """A transition as it is told: in the form of the contract, with its number to resume from."""
    return Event(EventKind.TRANSITION, transition.model_id, encode(transition).decode(), number)


def _hint_of(told: dict[str, Any]) -> Event:
    kind = EventKind(told["kind"])
    hint = HINTS[kind].model_validate(told)
    return Event(kind, hint.model_id, hint.model_dump_json())
