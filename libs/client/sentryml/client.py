"""The queue between the callers and the thread that sends.

log ──▶ queue (at most 10,000) ──▶ thread: batches (100 events, or 5 s) ──▶ delivery: gzip, retry, refusals

`log` appends and returns: it encodes nothing and waits for nothing. What it does must stay safe in a signal handler and
after a fork: no lock but for counting, and `SimpleQueue.put` to wake the thread, which may interrupt itself.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Literal
from weakref import WeakSet

from sentryml.counts import Counts, Stats, logger
from sentryml.delivery import Delivery
from sentryml.events import Event
from sentryml.http_delivery import HttpDelivery
from sentryml.settings import KafkaTarget, NotConfigured, Target, kafka_target, target

QUEUE_EVENTS = 10_000
BATCH_EVENTS = 100
BATCH_SECONDS = 5.0
BACKLOG_EVENTS = 1_000
"""The largest batch, while more events wait than one of the usual size."""
FLUSH_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0
TOPIC = "sentryml.predictions.v1"
SENDER = "sentryml-python"

Marker = threading.Event
"""In the queue: set when all before it has been sent, refused or given up."""


class Client:
    """Sends the events of a process. Most programs use the one behind `sentryml.log`."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        queue_events: int = QUEUE_EVENTS,
        batch_events: int = BATCH_EVENTS,
        batch_seconds: float = BATCH_SECONDS,
        flush_seconds: float = FLUSH_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: Literal["http", "kafka"] = "http",
        bootstrap: str | None = None,
        topic: str = TOPIC,
        sender: str = SENDER,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        """`url` and `key` default to `SENTRYML_URL` and `SENTRYML_API_KEY`.

        The last four are for `transport="kafka"`, which needs neither: `bootstrap` defaults to
        `SENTRYML_KAFKA_BOOTSTRAP`, `sender` names this program where records cannot be read, `kafka` holds further
        settings of aiokafka's producer, as `security_protocol`.

        Raises:
            NotConfigured: there is no usable address or key.
        """
        self._target = _target_of(transport, url, key, (bootstrap, topic, sender, kafka))
        self._most, self._batch, self._seconds = queue_events, batch_events, batch_seconds
        self._flush_seconds, self._timeout = flush_seconds, timeout_seconds
        self._begin()
        _clients.add(self)

    def _begin(self) -> None:
        """Start with nothing: at first, and in a forked child, whose parent sends what waited."""
        self._queue: deque[Event | Marker] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.RLock()
        self._counts = Counts()
        self._delivery = self._new_delivery()
        self._thread: threading.Thread | None = None
        self._flushing = 0

    def _new_delivery(self) -> Delivery[Any]:
        if isinstance(self._target, KafkaTarget):
            from sentryml.kafka_delivery import KafkaDelivery  # noqa: PLC0415

            return KafkaDelivery(self._target, self._counts, self._timeout)
        return HttpDelivery(self._target, self._counts, self._timeout)

    def log(
        self,
        model_id: str,
        prediction: Any,
        score: Any = None,
        timestamp: Any = None,
        version: str | None = None,
        segment: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Send one prediction, soon. Never waits and never raises; `stats()` counts what was dropped or refused."""
        queue = self._queue
        if len(queue) >= self._most:
            self._drop_one()
            return
        queue.append(
            Event(
                model_id, prediction, score, time.time() if timestamp is None else timestamp, version, segment, event_id
            )
        )
        if self._thread is None:
            self._start()
        if len(queue) >= self._batch and self._wake.empty():
            self._wake.put(None)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged before has been sent or refused; False if that takes longer than `timeout` seconds
        (5 by default)."""
        with self._lock:
            self._flushing += 1
        done = Marker()
        self._queue.append(done)
        self._wake.put(None)
        try:
            if not self._start():
                self._send_all(self._delivery, None)
            return done.wait(self._flush_seconds if timeout is None else timeout)
        finally:
            with self._lock:
                self._flushing -= 1

    def close(self, timeout: float | None = None) -> bool:
        """Flush, and stop the thread; what is left after `timeout` seconds is dropped, and counted. It runs at exit by
        itself. Logging again later starts another thread."""
        seconds = self._flush_seconds if timeout is None else timeout
        if not self._queue and self._thread is None:
            return True
        dropped = self._counts.dropped
        self._delivery.stop_within(seconds)
        if not self.flush(seconds):
            self._counts.add(dropped=self.stats().waiting)
            self._delivery.give_up()
            self._queue.clear()
        self._thread, self._delivery = None, self._new_delivery()
        self._wake.put(None)  # the thread ends
        dropped = self._counts.dropped - dropped
        if dropped:
            logger.warning("%s predictions are dropped: not sent to %s in time", f"{dropped:,}", self._target.url)
        return dropped == 0

    def stats(self) -> Stats:
        """What became of the events of this process."""
        counts, waiting = self._counts, sum(isinstance(each, Event) for each in self._queue.copy())
        waiting += self._delivery.in_flight
        return Stats(waiting, counts.sent, counts.dropped, counts.refused, counts.retries)

    def _drop_one(self) -> None:
        self._counts.add(dropped=1)
        text = f"{self._most:,} predictions wait for {self._target.url}: further ones are dropped, and counted"
        self._counts.say_once("full", text)

    def _start(self) -> bool:
        """Start the thread, unless it runs; False where none can start any more, since the process ends."""
        with self._lock:
            if self._thread is not None:
                return True
            self._thread = threading.Thread(target=self._run, args=(self._delivery,), name="sentryml", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                return False
        _flush_when_a_process_of_multiprocessing_ends()
        return True

    def _run(self, delivery: Delivery[Any]) -> None:
        due, me = time.monotonic() + self._seconds, threading.current_thread()
        while self._thread is me:
            self._wait_until(due)
            if self._flushing or time.monotonic() >= due:
                self._send_all(delivery, me)
                due = time.monotonic() + self._seconds
            while len(self._queue) >= self._batch and self._thread is me:
                self._send(delivery, self._take(BACKLOG_EVENTS))
        delivery.close()

    def _wait_until(self, due: float) -> None:
        try:
            self._wake.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            return

    def _send_all(self, delivery: Delivery[Any], thread: threading.Thread | None) -> None:
        """Send what waits now, unless another thread took over; what comes in meanwhile makes another batch."""
        left = len(self._queue)
        while left > 0 and self._thread is thread:
            taken = self._take(min(left, BACKLOG_EVENTS))
            left -= len(taken) or left
            self._send(delivery, taken)

    def _take(self, most: int) -> list[Event | Marker]:
        return list(_popped(self._queue, most))

    def _send(self, delivery: Delivery[Any], taken: list[Event | Marker]) -> None:
        try:
            delivery.send([each for each in taken if isinstance(each, Event)])
        except Exception:  # a defect of ours must not end the thread, and so all sending, in a process of others
            delivery.abandon()
            logger.exception("sentryml could not send a batch: please report this")
        for each in taken:
            if isinstance(each, Marker):
                each.set()


def _target_of(
    transport: str, url: str | None, key: str | None, kafka: tuple[str | None, str, str, Mapping[str, Any] | None]
) -> Target | KafkaTarget:
    if transport not in ("http", "kafka"):
        raise NotConfigured(f"transport={transport!r} is not known: it is 'http' or 'kafka'")
    if transport == "http":
        if kafka != (None, TOPIC, SENDER, None):
            raise NotConfigured("bootstrap, topic, sender and kafka are for transport='kafka': say that, too")
        return target(url, key)
    if url or key:
        raise NotConfigured("transport='kafka' takes no url and no key: what may write to the topic, Kafka decides")
    return kafka_target(*kafka)


def _popped(queue: deque[Event | Marker], most: int) -> Iterator[Event | Marker]:
    for _ in range(most):
        try:
            yield queue.popleft()
        except IndexError:
            return


_clients: WeakSet[Client] = WeakSet()


def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _after_fork() -> None:
    _process.forked()
    for client in list(_clients):
        client._delivery.close_after_fork()
        client._begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _flush_when_a_process_of_multiprocessing_ends() -> None:
    """Such a process skips what is registered with `atexit`, and what its parent has registered here. Not for a client:
    then it would run when that is garbage, in any thread, and close all others."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _process.flushed_at_end != os.getpid():
        _process.flushed_at_end = os.getpid()
        util.Finalize(None, _close_all, exitpriority=10)


class _Process:
    """The client of this process, and what was logged while there was none."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.flushed_at_end: int | None = None
        self.forked()

    def forked(self) -> None:
        """Begin again where a thread of the parent might hold a lock."""
        self.lock, self.unconfigured = threading.RLock(), Counts()


_process = _Process()


def configure(url: str | None = None, key: str | None = None, **settings: Any) -> None:
    """Say where to send, and with which key: `SENTRYML_URL` and `SENTRYML_API_KEY` by default. Without it, the first
    call of `log` reads these. The settings are those of `Client`.

    Raises:
        NotConfigured: there is no usable address or key.
    """
    client = Client(url, key, **settings)
    with _process.lock:
        previous, _process.client = _process.client, client
    if previous is not None:
        previous.close()


def log(
    model_id: str,
    prediction: Any,
    score: Any = None,
    timestamp: Any = None,
    version: str | None = None,
    segment: str | None = None,
    event_id: str | None = None,
) -> None:
    """Send one prediction, soon. Never waits and never raises; `stats()` counts what was dropped or refused.

    `prediction` is text, a number or a boolean; `timestamp` a datetime with a time zone, epoch seconds or RFC 3339, and
    now by default.
    """
    client = _process.client or _from_environment()
    if client is not None:
        client.log(model_id, prediction, score, timestamp, version, segment, event_id)


def _from_environment() -> Client | None:
    with _process.lock:
        if _process.client is None:
            try:
                _process.client = Client()
            except NotConfigured as err:
                _process.unconfigured.add(dropped=1)
                _process.unconfigured.say_once("unconfigured", f"predictions are not sent, and dropped: {err}")
        return _process.client


def flush(timeout: float | None = None) -> bool:
    """Wait until what was logged before has been sent or refused; False after `timeout` seconds (5 by default).

    In asyncio: `await asyncio.to_thread(sentryml.flush)`.
    """
    return _process.client is None or _process.client.flush(timeout)


def close(timeout: float | None = None) -> bool:
    """Flush, and stop sending. It runs at exit by itself."""
    return _process.client is None or _process.client.close(timeout)


def stats() -> Stats:
    """What became of the events of this process."""
    client = _process.client
    return client.stats() if client is not None else Stats(0, 0, _process.unconfigured.dropped, 0, 0)
