"""Batches to `POST /v1/events`: what each answer means.

accepted            counted as sent
no answer, 408, 429, 5xx   sent again, with the same Idempotency-Key: exponential back-off with jitter, or Retry-After
422, 403 naming some       sent again without these
422 naming none, 413       sent again in halves, so that one event does not take the others with it; so is a batch that
                           gets 500 again and again
all others          refused: logged once a kind with what to do, and counted
"""

from __future__ import annotations

import gzip
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sentryml.connection import Answer, Connection, Unreachable
from sentryml.counts import Counts, logger
from sentryml.events import BadEvent, Event, encode
from sentryml.settings import Target

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 60.0
GIVE_UP_SECONDS = 3_600.0
"""A batch without a usable answer for so long is dropped: it may be the batch."""
GZIP_FROM_BYTES = 1_000
GZIP_LEVEL = 1
LONGEST_ASKED_SECONDS = 300.0
ATTEMPTS_AT_500 = 5
TRANSIENT = (408, 425, 429)
NOT_INGEST = "check SENTRYML_URL: this is not the address of ingest, or it redirects"
ADVICE = {
    401: "check SENTRYML_API_KEY: the key is unknown, expired or revoked (sentryml doctor)",
    403: "use a key with the scope events:write, for these models (sentryml doctor)",
    404: NOT_INGEST,
    422: "correct what it names; the others of the batch were sent",
}


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


class Delivery:
    """Sends batches one after another, for one thread."""

    def __init__(
        self, target: Target, counts: Counts, timeout: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self._url, self._counts, self._jitter = target.url, counts, jitter
        self._connection = Connection(target, timeout)
        self._gzip = True
        self._stopping, self._deadline = threading.Event(), float("inf")
        self.stopped = False
        self.in_flight = 0

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

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

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
                items.append(Item(event.model_id, encode(event)))
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
                answer = self._post(batch)
                if not _may_pass(answer.status, attempt):
                    self._reached_again()
                    return answer
                asked = answer.retry_after(time.time())
                delay, reason = (
                    delay if asked is None else min(asked, LONGEST_ASKED_SECONDS) + 0.1 * delay,
                    answer.detail(),
                )
            except Unreachable as err:
                reason = str(err)
            self._counts.say_once("unreachable", f"{self._url} does not take predictions now ({reason}): retrying")
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

    def _post(self, batch: Batch) -> Answer:
        body = b"[" + b",".join(item.json for item in batch.items) + b"]"
        headers = {"Content-Type": "application/json", "Idempotency-Key": batch.key}
        if self._gzip and len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return self._connection.request("POST", "/v1/events", body, headers)

    def _after(self, batch: Batch, answer: Answer) -> tuple[Batch, ...]:
        """Count what an answer decides, and return what is to be sent again."""
        if answer.status == 202:
            self._counts.add(sent=len(batch.items))
            self.in_flight -= len(batch.items)
            return ()
        if answer.status == 415 and self._gzip:  # an older ingest
            self._gzip = False
            return (batch,)
        named = _named(batch, answer)
        if named:
            self._refused(len(named), answer)
            return (batch.without(named),)
        if answer.status in (413, 422, 500) and len(batch.items) > 1:
            return batch.halves()
        self._refused(len(batch.items), answer)
        return ()

    def _refused(self, events: int, answer: Answer) -> None:
        errors = answer.problem().get("errors")
        fields = (
            {error.get("field") for error in errors if isinstance(error, dict)} if isinstance(errors, list) else set()
        )
        kind = (answer.status, answer.kind(), *sorted(map(str, fields)))
        known = ADVICE.get(answer.status, NOT_INGEST if answer.status < 400 else "")
        advice = f"; {known}" if known else ""
        self._refuse(events, kind, f"{self._url} refused predictions ({answer.status}): {answer.detail()}{advice}")

    def _refuse(self, events: int, kind: object, text: str) -> None:
        self._counts.add(refused=events)
        self.in_flight -= events
        self._counts.say_once(kind, f"{text}. Others like it are counted in sentryml.stats(), not logged.")

    def _given_up(self, events: int) -> None:
        self._counts.add(dropped=events)
        self.in_flight -= events
        if not self._stopping.is_set():  # else who stops it says how many in all
            self._counts.say_once("given up", f"{events:,} predictions are dropped: {self._url} took none for too long")

    def _reached_again(self) -> None:
        if self._counts.forget("unreachable"):
            logger.info("%s takes predictions again", self._url)


def _may_pass(status: int, attempt: int) -> bool:
    """Whether the same request may be accepted later."""
    return status in TRANSIENT or (status >= 500 and not (status == 500 and attempt >= ATTEMPTS_AT_500))


def _named(batch: Batch, answer: Answer) -> set[int]:
    """The indexes of the events that an answer names as the ones to leave out."""
    problem = answer.problem()
    errors, models = problem.get("errors"), problem.get("models")
    if answer.status == 422 and isinstance(errors, list):
        indexes = {error.get("index") for error in errors if isinstance(error, dict)}
        return {index for index in indexes if isinstance(index, int) and 0 <= index < len(batch.items)}
    if answer.status == 403 and isinstance(models, list):
        return {index for index, item in enumerate(batch.items) if item.model_id in models}
    return set()
