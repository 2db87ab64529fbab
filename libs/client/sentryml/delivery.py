"""Batches on their way: what is common to HTTP and Kafka.

taken                counted as sent
no answer, or not now   sent again, with the same key: exponential back-off with jitter, or as it was asked for
refused              without the events that were named, or in halves, so that one event does not take the others with
                     it; at last logged once a kind with what to do, and counted
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sentryml.counts import Counts, logger
from sentryml.events import BadEvent, Event, encode

Answer = TypeVar("Answer")
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 60.0
GIVE_UP_SECONDS = 3_600.0
"""A batch without a usable answer for so long is dropped: it may be the batch."""
LONGEST_ASKED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Item:
    """One event as it is sent."""

    model_id: str
    json: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request holds. All its attempts carry one key; with other events it is another batch."""

    items: list[Item]
    key: str = field(default_factory=lambda: secrets.token_hex(16))

    def without(self, indexes: Collection[int]) -> Batch:
        """The batch without some of its events."""
        return Batch([item for index, item in enumerate(self.items) if index not in indexes])

    def halves(self) -> tuple[Batch, Batch]:
        """Both halves."""
        middle = len(self.items) // 2
        return Batch(self.items[:middle]), Batch(self.items[middle:])


class TryAgain(Exception):
    """Nobody knows whether a batch was taken, or it was not now; the text says why."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after
        """Seconds to wait, where that was asked for."""


class Delivery(ABC, Generic[Answer]):
    """Sends batches one after another, for one thread. How is what its kinds know: over HTTP, or into Kafka."""

    def __init__(self, to: str, counts: Counts, jitter: Callable[[], float] = random.random) -> None:
        self._to, self._counts, self._jitter = to, counts, jitter
        self._stopping, self._deadline = threading.Event(), float("inf")
        self.stopped = False
        self.in_flight = 0

    def _encode(self, event: Event) -> bytes:
        """An event as it is sent.

        Raises:
            BadEvent: it cannot be sent.
        """
        return encode(event)

    @abstractmethod
    def _attempt(self, batch: Batch, attempt: int) -> Answer:
        """Send a batch once; `attempt` counts from 0.

        Raises:
            TryAgain: the same batch may be accepted later.
        """

    @abstractmethod
    def _after(self, batch: Batch, answer: Answer) -> tuple[Batch, ...]:
        """Count what an answer decides, and return what is to be sent again."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    @abstractmethod
    def close_after_fork(self) -> None:
        """Leave to the parent what is the parent's; this one is used no more."""

    def stop_within(self, seconds: float) -> None:
        """From now on, retry only until then."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()

    def abandon(self) -> None:
        """Count as dropped what is on its way."""
        self._counts.add(dropped=self.in_flight)
        self.in_flight = 0

    def give_up(self) -> None:
        """Send nothing more."""
        self.stopped = True
        self._stopping.set()

    def send(self, events: list[Event]) -> None:
        """Send events; returns when each of them is accepted, refused or given up."""
        self.in_flight = len(events)
        pending = deque([Batch(self._encoded(events))])
        while pending:
            batch = pending.popleft()
            if not batch.items:
                continue
            answer = self._answer_to(batch)
            if self.stopped:  # who stopped it has counted what was left
                return
            if answer is None:
                self._given_up(len(batch.items))
            else:
                pending.extendleft(reversed(self._after(batch, answer)))

    def _encoded(self, events: list[Event]) -> list[Item]:
        items = []
        for event in events:
            try:
                items.append(Item(event.model_id, self._encode(event)))
            except BadEvent as err:
                of = event.model_id if isinstance(event.model_id, str) else "a model"
                self._refuse(1, ("event", err.field), f"a prediction of {of} cannot be sent: {err}")
            except Exception as err:  # an object of others may raise anything when it is read
                kind = type(err).__name__
                self._refuse(1, ("event", kind), f"a prediction cannot be sent: reading it raised {kind}")
        return items

    def _answer_to(self, batch: Batch) -> Answer | None:
        """The first answer that does not ask to try again; None if none came in time."""
        until, attempt = time.monotonic() + GIVE_UP_SECONDS, 0
        while not self.stopped:
            delay = self._backoff(attempt)
            try:
                answer = self._attempt(batch, attempt)
                self._reached_again()
                return answer
            except TryAgain as err:
                if err.after is not None:
                    delay = min(err.after, LONGEST_ASKED_SECONDS) + 0.1 * delay
                self._counts.say_once("unreachable", f"{self._to} does not take predictions now ({err}): retrying")
            if time.monotonic() + delay > min(until, self._deadline):
                return None
            self._pause(delay)
            attempt += 1
            self._counts.add(retries=1)
        return None

    def _backoff(self, attempt: int) -> float:
        longest = LONGEST_DELAY_SECONDS if not self._stopping.is_set() else FIRST_DELAY_SECONDS
        return float(min(longest, FIRST_DELAY_SECONDS * 2 ** min(attempt, 10)) * (0.5 + 0.5 * self._jitter()))

    def _pause(self, seconds: float) -> None:
        """Wait. Once the process ends, wait no longer for what began before, but for what is left."""
        if not self._stopping.is_set():
            self._stopping.wait(seconds)
        else:
            threading.Event().wait(seconds)

    def _refuse(self, events: int, kind: object, text: str) -> None:
        self._counts.add(refused=events)
        self.in_flight -= events
        self._counts.say_once(kind, f"{text}. Others like it are counted in sentryml.stats(), not logged.")

    def _given_up(self, events: int) -> None:
        self.in_flight -= events  # first: who stops it counts what is in flight, too
        self._counts.add(dropped=events)
        if not self._stopping.is_set():  # else who stops it says how many in all
            self._counts.say_once("given up", f"{events:,} predictions are dropped: {self._to} took none for too long")

    def _reached_again(self) -> None:
        if self._counts.forget("unreachable"):
            logger.info("%s takes predictions again", self._to)
