"""Events to ingest: what each answer means. Returns once ingest has them; raises while it takes none.

202                        accepted; the events that it names are refused
422, 413 for one event     refused
413 for several            sent again in halves
403 that names models      sent again without the events of these
all others, and no answer  ingest is away: the caller waits, or says so. Nothing is given up
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NoReturn

from sentryml.connection import Answer, Connection, Unreachable
from sentryml.settings import Target
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.text import cut
from sentryml_common.waiting import happened
from sentryml_tap.domain.reading import Fault, Reason, TappedEvent
from sentryml_tap.metrics import DROPPED, EVENTS, INGEST_AWAY

log = get_logger(__name__)

MOST_EVENTS = 1_000
"""In one request."""
CONNECTIONS = 16
TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
LONGEST_REASON = 200
ADVICE = {
    401: "check SENTRYML_TAP_API_KEY: the key is unknown, expired or revoked",
    403: "SENTRYML_TAP_API_KEY needs the scope events:write",
    404: "check SENTRYML_TAP_INGEST_URL: this is not ingest",
}


@dataclass(slots=True)
class Outcome:
    """What became of events."""

    accepted: int = 0
    faults: list[Fault] = field(default_factory=list)


class Sender:
    """The way to ingest, for all sources."""

    def __init__(self, target: Target, health: Health) -> None:
        self._target, self._health = target, health
        self._threads = ThreadPoolExecutor(CONNECTIONS, "ingest")
        self._idle: deque[Connection] = deque()
        self._taken, self._asked = asyncio.Event(), 0.0
        self._why = "connecting"
        health.waiting("ingest", f"{target.url}: {self._why}")
        INGEST_AWAY.set(1)

    async def send(self, source: str, events: Sequence[TappedEvent], key: str) -> list[Fault]:
        """Send events; `key` is the same whenever the same events are sent, and ingest counts them once. Returns why
        some were refused.

        Raises:
            Unavailable: ingest does not take them now. What it has taken, it knows by their key.
        """
        found = Outcome()
        for first in range(0, len(events), MOST_EVENTS):
            await self._send(events[first : first + MOST_EVENTS], f"{key}-{first}", found)
        EVENTS.labels(source=source).inc(found.accepted)
        for fault in found.faults:
            DROPPED.labels(source=source, reason=fault.reason).inc()
        return found.faults

    async def back(self, seconds: float) -> None:
        """Wait until ingest takes events again, `seconds` at most."""
        await happened(self._taken, seconds)

    async def watch(self) -> NoReturn:
        """While ingest is away, ask whether it is back."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            if not self._taken.is_set():
                await self._ask()
            pause = FIRST_PAUSE_SECONDS if self._taken.is_set() else min(LONGEST_PAUSE_SECONDS, 2 * pause)
            await asyncio.sleep(max(pause, min(LONGEST_PAUSE_SECONDS, self._asked)))

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    async def _ask(self) -> None:
        """An empty array is refused, but only after the key."""
        try:
            answer = await self._post(b"[]", {})
        except Unavailable:
            return
        if answer.kind() == "no-events":
            self._is_back()
        else:
            self._is_away(_reason(answer), answer.retry_after(time.time()))

    async def _send(self, events: Sequence[TappedEvent], key: str, found: Outcome) -> None:
        if not events:
            return
        if not self._taken.is_set():
            raise Unavailable(self._why)
        headers = {"Prefer": "handling=lenient", "Idempotency-Key": key}
        answer = await self._post(b"[" + b",".join(event.json for event in events) + b"]", headers)
        allowed = _allowed(answer, events)
        if answer.status == 202:
            found.faults += _refused(answer, answer.problem().get("refused"))
            found.accepted += len(events) - int(answer.problem().get("refused") or 0)
        elif answer.status == 413 and len(events) > 1:
            middle = len(events) // 2
            await self._send(events[:middle], f"{key}a", found)
            await self._send(events[middle:], f"{key}b", found)
        elif answer.status in (413, 422):
            found.faults += _refused(answer, len(events))
        elif len(allowed) < len(events):
            fault = Fault(Reason.REFUSED, "model_id is of a model that the API key may not write")
            found.faults += [fault] * (len(events) - len(allowed))
            await self._send(allowed, key, found)
        else:
            self._is_away(_reason(answer), answer.retry_after(time.time()))
            raise Unavailable(self._why)

    async def _post(self, body: bytes, headers: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/json", **headers}
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._post_in_thread, body, headers)
        except Unreachable as err:
            self._is_away(f"no answer: {err}")
            raise Unavailable(self._why) from None

    def _post_in_thread(self, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = Connection(self._target, TIMEOUT_SECONDS)
        try:
            return connection.request("POST", "/v1/events", body, headers)
        finally:
            self._idle.append(connection)

    def _is_away(self, reason: str, asked: float | None = None) -> None:
        self._why = f"{self._target.url} takes no events: {cut(reason, LONGEST_REASON)}"
        if self._taken.is_set():
            log.warning("ingest_away", why=self._why)
        self._taken.clear()
        INGEST_AWAY.set(1)
        self._health.waiting("ingest", self._why)
        self._asked = asked or 0.0

    def _is_back(self) -> None:
        log.info("ingest_takes_events", url=self._target.url)
        self._taken.set()
        INGEST_AWAY.set(0)
        self._health.ready("ingest")
        self._asked = 0.0


def _reason(answer: Answer) -> str:
    """What an answer says. The text of one that is no problem of ours is not repeated: it may hold what was sent."""
    advice = ADVICE.get(answer.status, ADVICE[404] if answer.status < 400 else "")
    said = answer.detail() if answer.kind() else f"HTTP {answer.status}"
    return f"{said}; {advice}" if advice else said


def _allowed(answer: Answer, events: Sequence[TappedEvent]) -> Sequence[TappedEvent]:
    """The events without those of models that a 403 names."""
    named = answer.problem().get("models")
    if answer.status != 403 or not isinstance(named, list):
        return events
    return [event for event in events if event.model_id not in named]


def _refused(answer: Answer, count: object) -> Iterable[Fault]:
    """A fault for each of `count` events; ingest says which fields of the first hundred are wrong, and why."""
    if not isinstance(count, int):
        return
    said = {error["index"]: error for error in answer.errors() if "index" in error}
    texts = [f"{error.get('field')} {error.get('reason')}" for error in said.values()][:count]
    yield from (Fault(Reason.REFUSED, cut(text, LONGEST_REASON)) for text in texts)
    yield from [Fault(Reason.REFUSED, "ingest refused it")] * (count - len(texts))
