"""Listens to PostgreSQL once per process, and publishes to all who follow: clients of the stream and open pages.

Transitions are read by their stream number once per wake-up, however many follow; the wake-up is only a hint, and the
hub polls every second anyway. Evaluations, new models and deliveries are in the notification itself, and published as
they come. Activity is not notified, since every model reports all the time: for the models that are shown, it is polled
once a second, together with the keys and sessions that are over. No subscriber holds a connection to PostgreSQL.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sentryml_common.clock import Clock, system_clock
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import AWAY, CONNECT_TIMEOUT_SECONDS, Connection, Pool
from sentryml_common.waiting import happened
from sentryml_incidents.metrics import (
    FULL,
    FULL_FOR_SESSION,
    LIVE_PAGES,
    LIVE_PAGES_REFUSED_TOTAL,
    STREAM_CLIENTS,
)
from sentryml_incidents.store.models import newest_activity, read_activity_times
from sentryml_incidents.store.people.api_keys import find_spent_keys
from sentryml_incidents.store.people.sessions import find_over_sessions
from sentryml_incidents.store.transition_numbers import CHANNEL, newest_number, number_transitions, read_stream
from sentryml_incidents.streaming.events import Event, EventKind, event_of, hint_in
from sentryml_incidents.streaming.subscribers import (
    CHANGED_BY_TIME,
    Client,
    Happening,
    Page,
    Shown,
    Subject,
    Subscriber,
)

log = get_logger(__name__)

POLL_SECONDS = 1.0
CHECKS_UNTIL_OVERVIEW = 5
"""The overview follows all models, and is the most expensive page: its checks are this far apart."""
CHECKS_UNTIL_BY_TIME = 60
"""What is missing notifies of nothing: pages that say so are changed this far apart, whatever happens."""
PAGE_ROWS = 500
PAGES_MAX, PAGES_OF_SESSION_MAX = 1_000, 20

Kind = TypeVar("Kind", bound=Subscriber)
FindEnded: TypeAlias = Callable[[Connection, Collection[str], datetime], Awaitable[set[str]]]


class Hub:
    """All subscribers of this process. `position` is the number up to which transitions were published; None
    before the start. `now` names this moment, for pages that are made now."""

    def __init__(self, public_url: str, clock: Clock = system_clock) -> None:
        self._public_url, self._clock = public_url, clock
        self._subscribers: set[Subscriber] = set()
        self._following: defaultdict[Happening, set[Subscriber]] = defaultdict(set)
        self._wake = asyncio.Event()
        self._closed = False
        self.position: int | None = None
        self._run, self._count = secrets.token_hex(4), 0
        self._latest: dict[Happening, int] = {}
        self._active: dict[str, datetime] = {}
        self._overview: tuple[int | None, datetime | None] = (None, None)
        self._checks = 0

    @property
    def now(self) -> str:
        """This moment, for `follow_page`."""
        return f"{self._run}.{self._count}"

    def follow(self, key_id: str, wants: Callable[[Event], bool]) -> Client:
        """Follow all that comes after `position`."""
        return self._add(Client(key_id, wants))

    def follow_page(self, session_hash: str, subject: Subject, since: str) -> Page | None:
        """Follow a page that was made at the moment `since`; None where too many are open."""
        pages = self._of(Page)
        if len(pages) >= PAGES_MAX:
            LIVE_PAGES_REFUSED_TOTAL.labels(reason=FULL).inc()
            return None
        if sum(each.credential == session_hash for each in pages) >= PAGES_OF_SESSION_MAX:
            LIVE_PAGES_REFUSED_TOTAL.labels(reason=FULL_FOR_SESSION).inc()
            return None
        page = self._add(Page(session_hash, subject))
        if self._changed_since(since, subject):
            page.change()
        return page

    def leave(self, subscriber: Subscriber) -> None:
        """Follow no longer."""
        self._subscribers.discard(subscriber)
        for happening in subscriber.follows:
            self._following[happening].discard(subscriber)
            if not self._following[happening]:
                del self._following[happening]
        self._measure()

    def close(self) -> None:
        """End every subscription, and those to come: the service stops."""
        self._closed = True
        for each in self._subscribers:
            each.end()

    def publish(self, event: Event) -> None:
        """Pass on what has happened to all who follow it."""
        self._count += 1
        for happening in ((event.kind, event.model_id), (event.kind, None)):
            self._latest[happening] = self._count
            for each in self._following.get(happening, ()):
                each.offer(event)

    def lose_track(self) -> None:
        """Something may have happened unnoticed. Clients miss no transition by that; hints are no promise."""
        self._run, self._count = secrets.token_hex(4), 0
        self._latest.clear()
        for page in self._of(Page):
            page.change()

    async def run(self, pool: Pool) -> None:
        """Publish until cancelled. While PostgreSQL is away there is nothing to publish; no transition is left out
        afterwards."""
        while True:
            try:
                async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
                    await self._listen(connection)
            except AWAY as err:
                log.warning("stream_waits", why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(POLL_SECONDS)

    def _add(self, subscriber: Kind) -> Kind:
        self._subscribers.add(subscriber)
        for happening in subscriber.follows:
            self._following[happening].add(subscriber)
        self._measure()
        if self._closed:
            subscriber.end()
        return subscriber

    def _of(self, kind: type[Kind]) -> list[Kind]:
        return [each for each in self._subscribers if isinstance(each, kind)]

    def _measure(self) -> None:
        STREAM_CLIENTS.set(len(self._of(Client)))
        LIVE_PAGES.set(len(self._of(Page)))

    def _changed_since(self, since: str, subject: Subject) -> bool:
        """Whether a page has changed since; also where that is not known, or was another process's to know."""
        run, _, count = since.partition(".")
        if run != self._run or not count.isdecimal():
            return True
        return any(self._latest.get(happening, 0) > int(count) for happening in subject.changed_by)

    async def _listen(self, connection: Connection) -> None:
        await connection.add_listener(CHANNEL, self._on_notify)
        self.lose_track()
        time, next_check = asyncio.get_running_loop().time, 0.0
        try:
            while True:
                self._wake.clear()
                await self._publish_transitions(connection)
                if time() >= next_check:
                    next_check = time() + POLL_SECONDS
                    await self._check(connection)
                await happened(self._wake, next_check - time())
        finally:
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, self._on_notify)

    def _on_notify(self, *notified: Any) -> None:
        payload: str = notified[-1]
        if payload:
            self.publish(hint_in(payload))
        else:
            self._wake.set()

    async def _publish_transitions(self, connection: Connection) -> None:
        async with connection.transaction():
            await number_transitions(connection)
        if self.position is None:
            self.position = await newest_number(connection)
        while True:
            rows = await read_stream(connection, self._public_url, after=self.position, limit=PAGE_ROWS)
            for number, transition in rows:
                self.publish(event_of(number, transition))
                self.position = number
            if len(rows) < PAGE_ROWS:
                return

    async def _check(self, connection: Connection) -> None:
        """Look for what PostgreSQL does not notify of."""
        self._checks += 1
        await self._end_revoked(connection, self._of(Client), find_spent_keys)
        await self._end_revoked(connection, self._of(Page), find_over_sessions)
        await self._change_models(connection)
        if self._checks % CHECKS_UNTIL_OVERVIEW == 0:
            await self._change_overviews(connection)
        if self._checks % CHECKS_UNTIL_BY_TIME == 0:
            for page in (page for shown in CHANGED_BY_TIME for page in self._showing(shown)):
                page.change()

    async def _end_revoked(
        self, connection: Connection, subscribers: Sequence[Subscriber], find_ended: FindEnded
    ) -> None:
        """A key that is revoked or expires, and a session that is over, end what was begun with them."""
        if not subscribers:
            return
        ended = await find_ended(connection, {each.credential for each in subscribers}, self._clock())
        for each in subscribers:
            if each.credential in ended:
                each.end(revoked=True)

    async def _change_models(self, connection: Connection) -> None:
        """Change the pages of models that have reported since the last check; the first check only takes note."""
        pages = self._showing(Shown.MODEL)
        shown = {page.subject.model_id for page in pages if page.subject.model_id is not None}
        times = await read_activity_times(connection, shown) if shown else {}
        active = {model_id for model_id, at in times.items() if self._active.get(model_id, at) != at}
        self._active = times
        for page in pages:
            if page.subject.model_id in active:
                page.change()

    async def _change_overviews(self, connection: Connection) -> None:
        """Change overviews, if any model was evaluated or has reported since the last time."""
        pages = self._showing(Shown.OVERVIEW)
        if not pages:
            return
        newest = (self._latest.get((EventKind.EVALUATION, None)), await newest_activity(connection))
        for page in pages if newest != self._overview else ():
            page.change()
        self._overview = newest

    def _showing(self, shown: Shown) -> list[Page]:
        return [page for page in self._of(Page) if page.subject.shown is shown]
