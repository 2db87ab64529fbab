"""Accepted events go to Kafka: each request whole in one record, and small requests of the same moment in one together.
A request that may be sent again has a record of its own, with its id, which also chooses the partition.

A record costs the broker, and each reader after it, as much as a hundred events. So small requests wait while others
are on their way, and go together when one of those is acknowledged. Where few come, none waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sentryml_common.contracts.prediction import REQUEST_ID_HEADER
from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_ingest.metrics import PUBLISH_SECONDS
from sentryml_ingest.settings import MOST_EVENTS

SMALL_EVENTS, SMALL_BYTES = 200, 32_768
"""Requests with at most this number of events and bytes may share a record."""
MOST_BYTES = 500_000
RECORDS_UNDER_WAY = 4
"""While this number of shared records are not acknowledged, the next one waits."""


class SharedRecord:
    """Small requests that go in one record, each with the future that says that it is acknowledged."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.requests: list[tuple[bytes, asyncio.Future[None]]] = []
        self._events, self._bytes = 0, 0

    def fits(self, array: bytes, events: int) -> bool:
        """Whether there is room for one more."""
        return self._events + events <= MOST_EVENTS and self._bytes + len(array) <= MOST_BYTES

    def add(self, array: bytes, events: int, answered: asyncio.Future[None]) -> None:
        """Add a request's array of events."""
        self.requests.append((array, answered))
        self._events, self._bytes = self._events + events, self._bytes + len(array)

    def value(self) -> bytes:
        """One array of the events of all."""
        if len(self.requests) == 1:
            return self.requests[0][0]
        return b"[" + b",".join([array[1:-1] for array, _ in self.requests]) + b"]"


class EventPublisher:
    """Publishes requests, each within a bounded time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._publisher: Publisher | None = None
        self._next: SharedRecord | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def connect(self, publisher: Publisher) -> None:
        """Kafka is there."""
        self._publisher = publisher

    def publish(self, array: bytes, events: int, request_id: bytes | None = None) -> asyncio.Future[None]:
        """Done when Kafka has acknowledged the events of a request, a JSON array.

        Raises, when awaited:
            Unavailable: it has not in time. The events may still arrive: a sender without a request id that tries again
                may then be counted twice, one that does not may have been counted.
            RecordTooLarge: Kafka takes no record of this size.
        """
        loop = asyncio.get_running_loop()
        if request_id is not None or events > SMALL_EVENTS or len(array) > SMALL_BYTES:
            return loop.create_task(self._send(array, loop.time(), request_id))
        return self._send_with_others(array, events, loop)

    def _send_with_others(self, array: bytes, events: int, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        if self._next is not None and not self._next.fits(array, events):
            self._start()
        if self._next is None:
            self._next = SharedRecord(loop.time())
            loop.call_soon(self._start_unless_busy)  # after the requests that have arrived by now
        answered: asyncio.Future[None] = loop.create_future()
        self._next.add(array, events, answered)
        return answered

    def _start_unless_busy(self) -> None:
        if len(self._under_way) < RECORDS_UNDER_WAY:
            self._start()

    def _start(self) -> None:
        """Send the next record, if there is one."""
        if self._next is None:
            return
        record, self._next = self._next, None
        task = asyncio.create_task(self._send_shared(record))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._start_unless_busy()

    async def _send_shared(self, record: SharedRecord) -> None:
        """Send a record and answer those who wait for it. None of several is refused for the size of all."""
        error: Exception | None = Unavailable("ingest is stopping: try again")
        try:
            await self._send(record.value(), record.begun)
            error = None
        except RecordTooLarge as err:
            error = err
            if len(record.requests) > 1:
                await asyncio.gather(*map(self._send_shared, _one_by_one(record)))
        except Exception as err:
            error = err
        finally:
            _answer((answered for _, answered in record.requests), error)

    async def _send(self, value: bytes, begun: float, request_id: bytes | None = None) -> None:
        headers = () if request_id is None else ((REQUEST_ID_HEADER, request_id),)
        if self._publisher is None:
            raise Unavailable("Kafka is not reached yet: try again in a few seconds")
        try:
            with PUBLISH_SECONDS.time():
                async with asyncio.timeout_at(begun + self._seconds):
                    await self._publisher.publish([Record(PREDICTIONS.name, request_id, value, headers=headers)])
        except TimeoutError as err:
            raise Unavailable(f"Kafka did not acknowledge within {self._seconds:g} s: try again") from err


def _one_by_one(record: SharedRecord) -> Iterable[SharedRecord]:
    for array, answered in record.requests:
        alone = SharedRecord(record.begun)
        alone.add(array, 0, answered)
        yield alone


def _answer(waiting: Iterable[asyncio.Future[None]], error: Exception | None) -> None:
    for answered in waiting:
        if answered.done():  # the sender is gone, or has its answer
            continue
        if error is None:
            answered.set_result(None)
        else:
            answered.set_exception(error)
