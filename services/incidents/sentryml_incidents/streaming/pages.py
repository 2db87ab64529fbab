"""Tells open pages that what they show has changed; they fetch themselves again.

It hears what the stream hears, and remembers the last of it, so that a page can say from where on it wants to be told:
from when it was made. Activity is not told by PostgreSQL, since every model reports all the time: who is shown is
looked up, once a second, in the same look as which sessions are over. No page holds a connection to PostgreSQL.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sentryml_common.clock import Clock, system_clock
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_incidents.metrics import FULL, FULL_FOR_SESSION, LIVE_PAGES, LIVE_PAGES_REFUSED_TOTAL
from sentryml_incidents.store.models import newest_activity, read_activity_times
from sentryml_incidents.store.people.sessions import find_over_sessions

log = get_logger(__name__)

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 1.0
"""Least time between two changes that one page is told of: what comes meanwhile is one change."""
LOOKS_UNTIL_OVERVIEW = 5
"""The overview follows all models, and is the most expensive page: its checks are this far apart."""
REMEMBERED = 2_000
PAGES_MAX, PAGES_OF_SESSION_MAX = 1_000, 20


class Shown(StrEnum):
    """What a page shows."""

    OVERVIEW = "overview"
    MODEL = "model"
    INCIDENTS = "incidents"
    INCIDENT = "incident"
    ALERTS = "alerts"


CHANGES = {
    Shown.OVERVIEW: frozenset({"transition", "model"}),
    Shown.MODEL: frozenset({"transition", "evaluation"}),
    Shown.INCIDENTS: frozenset({"transition", "delivery"}),
    Shown.INCIDENT: frozenset({"transition", "evaluation", "delivery"}),
    Shown.ALERTS: frozenset({"delivery"}),
}
"""What changes a page at once; activity, and evaluations on the overview, are looked for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one page shows: of one model where `model_id` is given, else of all."""

    shown: Shown
    model_id: str | None = None

    @property
    def followed(self) -> list[tuple[str, str | None]]:
        """(kind, model) of what changes the page at once."""
        return [(kind, self.model_id) for kind in CHANGES[self.shown]]

    def changed_by(self, kind: str, model_id: str) -> bool:
        """Whether something that happened to a model is seen on the page."""
        return any(each in self.followed for each in ((kind, model_id), (kind, None)))


class Watcher:
    """One open page."""

    def __init__(self, session_hash: str, subject: Subject, *, changed: bool) -> None:
        self.session_hash, self.subject = session_hash, subject
        self.signed_out = self.ended = False
        self._changed, self._ended = asyncio.Event(), asyncio.Event()
        if changed:
            self._changed.set()

    def change(self) -> None:
        """What the page shows has changed."""
        self._changed.set()

    def end(self, *, signed_out: bool = False) -> None:
        """Say that nothing more comes."""
        self.signed_out, self.ended = signed_out, True
        self._ended.set()
        self._changed.set()

    async def take(self, seconds: float) -> bool:
        """Whether the page has changed since the last time: as soon as it has, or not within some seconds."""
        changed = await _within(seconds, self._changed)
        self._changed.clear()
        return changed and not self.ended

    async def pause(self) -> None:
        """Let changes gather; the end is not waited for."""
        await _within(PAUSE_SECONDS, self._ended)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


class Live:
    """All open pages of this process. `now` names this moment, for pages that are made now."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._watchers: set[Watcher] = set()
        self._following: defaultdict[tuple[str, str | None], set[Watcher]] = defaultdict(set)
        self._run, self._count = secrets.token_hex(4), 0
        self._past: deque[tuple[int, str, str]] = deque(maxlen=REMEMBERED)
        self._active: dict[str, datetime] = {}
        self._newest: datetime | None = None
        self._evaluated = self._closed = False

    @property
    def now(self) -> str:
        """This moment, for `watch`."""
        return f"{self._run}.{self._count}"

    def note(self, kind: str, model_id: str) -> None:
        """Something has happened to a model."""
        self._count += 1
        self._past.append((self._count, kind, model_id))
        self._evaluated = self._evaluated or kind == "evaluation"
        for followed in (model_id, None):
            for watcher in self._following.get((kind, followed), ()):
                watcher.change()

    def lose_track(self) -> None:
        """Something may have happened that was not heard."""
        self._run, self._count = secrets.token_hex(4), 0
        self._past.clear()
        for watcher in self._watchers:
            watcher.change()

    def watch(self, session_hash: str, subject: Subject, since: str) -> Watcher | None:
        """Follow a page that was made at the moment `since`; None where too many are open."""
        if len(self._watchers) >= PAGES_MAX:
            LIVE_PAGES_REFUSED_TOTAL.labels(reason=FULL).inc()
            return None
        if sum(each.session_hash == session_hash for each in self._watchers) >= PAGES_OF_SESSION_MAX:
            LIVE_PAGES_REFUSED_TOTAL.labels(reason=FULL_FOR_SESSION).inc()
            return None
        watcher = Watcher(session_hash, subject, changed=self._changed_since(since, subject))
        self._watchers.add(watcher)
        for followed in subject.followed:
            self._following[followed].add(watcher)
        LIVE_PAGES.set(len(self._watchers))
        if self._closed:
            watcher.end()
        return watcher

    def _changed_since(self, since: str, subject: Subject) -> bool:
        """Whether a page has changed since; also where that is not known any more, or was another process's to know."""
        run, _, count = since.partition(".")
        if run != self._run or not count.isdecimal() or int(count) < self._count - len(self._past):
            return True
        return any(number > int(count) and subject.changed_by(kind, model_id) for number, kind, model_id in self._past)

    def leave(self, watcher: Watcher) -> None:
        """Follow a page no more."""
        self._watchers.discard(watcher)
        for followed in watcher.subject.followed:
            self._following[followed].discard(watcher)
            if not self._following[followed]:
                del self._following[followed]
        LIVE_PAGES.set(len(self._watchers))

    def close(self) -> None:
        """End all pages' streams, and those to come: the service stops."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    async def run(self, pool: Pool) -> None:
        """Look once a second, while a page is open, until cancelled. While PostgreSQL is away nothing is told."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._watchers:
                continue
            looks += 1
            try:
                async with transaction(pool) as connection:
                    await self._end_over(connection)
                    await self._tell_active(connection)
                    if looks % LOOKS_UNTIL_OVERVIEW == 0:
                        await self._tell_overviews(connection)
            except Unavailable as err:
                log.debug("live_waits", why=str(err))

    async def _end_over(self, connection: Connection) -> None:
        """A session that is over ends its pages' streams."""
        sessions = {watcher.session_hash for watcher in self._watchers}
        over = await find_over_sessions(connection, sessions, self._clock())
        for watcher in self._watchers:
            if watcher.session_hash in over:
                watcher.end(signed_out=True)

    async def _tell_active(self, connection: Connection) -> None:
        """Tell the pages of models that have reported since the last look; the first look only takes note."""
        subjects = [watcher.subject for watcher in self._watchers if watcher.subject.shown is Shown.MODEL]
        shown = {subject.model_id for subject in subjects if subject.model_id is not None}
        times = await read_activity_times(connection, shown) if shown else {}
        active = {model_id for model_id, at in times.items() if self._active.get(model_id, at) != at}
        self._active = times
        for watcher in self._watchers:
            if watcher.subject.shown is Shown.MODEL and watcher.subject.model_id in active:
                watcher.change()

    async def _tell_overviews(self, connection: Connection) -> None:
        """Tell overviews, if any model was evaluated or has reported since the last time."""
        overviews = [watcher for watcher in self._watchers if watcher.subject.shown is Shown.OVERVIEW]
        if not overviews:
            return
        newest = await newest_activity(connection)
        changed = self._evaluated or newest != self._newest
        self._newest, self._evaluated = newest, False
        for watcher in overviews if changed else ():
            watcher.change()
