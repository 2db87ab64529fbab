"""Who follows what happens: a client of `GET /v1/stream` gets each event, an open page only that what it shows has
changed. Nobody waits for anybody: who does not take its events ends, and resumes later from where it was.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sentryml_common.waiting import happened
from sentryml_incidents.metrics import STREAM_OVERFLOWS_TOTAL
from sentryml_incidents.streaming.events import Event, EventKind

MOST_WAITING = 1_000
"""Events that may wait for one client: some 2 MB."""
PAUSE_SECONDS = 1.0
"""Least time between two changes of one page: what comes meanwhile is one change."""


Happening: TypeAlias = tuple[EventKind, str | None]
"""A kind of event, of one model, or of any where that is None."""


class Subscriber(ABC):
    """Follows what happens, with a credential: the id of a key, or the hash of a session's secret."""

    def __init__(self, credential: str, follows: Iterable[Happening]) -> None:
        self.credential, self.follows, self.revoked = credential, tuple(follows), False
        self._changed, self._ended = asyncio.Event(), asyncio.Event()

    @abstractmethod
    def offer(self, event: Event) -> None:
        """Take an event that is among what is followed."""

    def change(self) -> None:
        """There is something to take."""
        self._changed.set()

    def end(self, *, revoked: bool = False) -> None:
        """Say that nothing more comes; `revoked`, because the credential is good no more."""
        self.revoked = self.revoked or revoked
        self._ended.set()
        self._changed.set()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._ended.is_set()

    async def _woken(self, seconds: float) -> bool:
        """Wait for a change for some seconds at most; whether there was one."""
        await happened(self._changed, seconds)
        changed = self._changed.is_set()
        self._changed.clear()
        return changed


class Client(Subscriber):
    """One client of the stream, with the events that wait for it. `wants` says which are for it."""

    def __init__(self, key_id: str, wants: Callable[[Event], bool]) -> None:
        super().__init__(key_id, [(kind, None) for kind in EventKind])
        self.wants = wants
        self._waiting: deque[Event] = deque()

    def offer(self, event: Event) -> None:
        """Queue an event; one that finds no room ends the subscription, since what came before must not be lost."""
        if self.ended or not self.wants(event):
            return
        if len(self._waiting) >= MOST_WAITING:
            STREAM_OVERFLOWS_TOTAL.inc()
            self.end()
            return
        self._waiting.append(event)
        self.change()

    async def take(self, seconds: float) -> list[Event]:
        """What waits, as soon as there is something; nothing after some seconds, or at the end."""
        await self._woken(seconds)
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Shown(StrEnum):
    """What a page shows."""

    OVERVIEW = "overview"
    MODEL = "model"
    INCIDENTS = "incidents"
    INCIDENT = "incident"
    ALERTS = "alerts"


CHANGES = {
    Shown.OVERVIEW: frozenset({EventKind.TRANSITION, EventKind.MODEL}),
    Shown.MODEL: frozenset({EventKind.TRANSITION, EventKind.EVALUATION}),
    Shown.INCIDENTS: frozenset({EventKind.TRANSITION, EventKind.DELIVERY}),
    Shown.INCIDENT: frozenset({EventKind.TRANSITION, EventKind.EVALUATION, EventKind.DELIVERY}),
    Shown.ALERTS: frozenset({EventKind.DELIVERY}),
}
"""What changes a page at once; activity, and evaluations on the overview, are polled."""

CHANGED_BY_TIME = (Shown.OVERVIEW, Shown.MODEL, Shown.ALERTS)
"""Pages that say what is missing, which nothing notifies of."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one page shows: of one model where `model_id` is given, else of all."""

    shown: Shown
    model_id: str | None = None

    @property
    def changed_by(self) -> list[Happening]:
        """What changes the page at once."""
        return [(kind, self.model_id) for kind in CHANGES[self.shown]]


class Page(Subscriber):
    """One open page. Changes gather until they are taken."""

    def __init__(self, session_hash: str, subject: Subject) -> None:
        super().__init__(session_hash, subject.changed_by)
        self.subject = subject

    def offer(self, event: Event) -> None:
        """Note a change of what the page shows."""
        self.change()

    async def take(self, seconds: float) -> bool:
        """Whether the page has changed since the last time: as soon as it has, or not within some seconds."""
        return await self._woken(seconds) and not self.ended

    async def pause(self) -> None:
        """Let changes gather; the end is not waited for."""
        await happened(self._ended, PAUSE_SECONDS)
