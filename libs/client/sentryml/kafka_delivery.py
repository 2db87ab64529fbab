"""Batches straight into `predictions.v1`, each a record: an array of events, as ingest would write it.

written             counted as sent
anything else       written again by a new producer, with the same request id, which is how drift knows a repeat
too large           in halves
not allowed         refused: logged once a kind with what to do, and counted

The producer of aiokafka lives in an event loop of the thread that sends, and runs only while that thread waits for it.
aiokafka is an extra: a client that sends over HTTP does not need it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from inspect import signature
from typing import Any

from sentryml.connection import AGENT, reason_of
from sentryml.counts import Counts
from sentryml.delivery import Batch, Delivery, TryAgain
from sentryml.events import Event
from sentryml.rules import encode_checked
from sentryml.settings import KafkaTarget, NotConfigured

REQUEST_ID_HEADER, SENDER_HEADER = "sentryml-request-id", "sentryml-sender"
RETRY_BACKOFF_MS = 1_000
"""Of aiokafka within one attempt; it logs each."""
STOP_SECONDS = 2.0
TOO_LARGE = ("MessageSizeTooLargeError", "RecordListTooLargeError", "RecordTooLargeError")
REFUSALS = {
    "TopicAuthorizationFailedError": "let this client write to the topic",
    "ClusterAuthorizationFailedError": "let this client write with an idempotent producer",
    "InvalidTopicError": "check the name of the topic",
    "UnsupportedVersionError": "Kafka is older than 3.1",
}
"""By the name of the error, what to do about it."""
_of_parents: list[object] = []
"""What a forked child must not touch, and so never collect: both would share its sockets."""


class KafkaDelivery(Delivery[Exception | bool]):
    """Writes batches into a topic. An answer is True, or what was raised."""

    def __init__(self, target: KafkaTarget, counts: Counts, timeout: float) -> None:
        """Raises:
        NotConfigured: aiokafka is missing, or has no such settings.
        """
        super().__init__(target.url, counts)
        self._target, self._timeout = target, timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._producer: Any = None
        _check(target)

    def send(self, events: list[Event]) -> None:
        """Send events. Once the process ends, leave nothing open: the thread may not come to it any more."""
        super().send(events)
        if self._stopping.is_set():
            self.close()

    def close(self) -> None:
        """Close the producer, and its loop."""
        if self._loop is None or self._loop.is_running():
            return
        self._drop_producer()
        self._loop.close()
        self._loop = None

    def close_after_fork(self) -> None:
        """Keep what is the parent's: closing it here would close it there."""
        _of_parents.append((self._loop, self._producer))
        self._loop = self._producer = None

    def _encode(self, event: Event) -> bytes:
        return encode_checked(event)

    def _attempt(self, batch: Batch, attempt: int) -> Exception | bool:
        try:
            self._await(self._write(batch), min(self._timeout + 1, self._deadline - time.monotonic()))
        except Exception as err:
            if type(err).__name__ in TOO_LARGE:
                return err
            self._drop_producer()  # whose sequence of records may have a gap now
            if type(err).__name__ not in REFUSALS and not isinstance(err, ValueError | TypeError | AssertionError):
                raise TryAgain(reason_of(err)) from err
            return err
        return True

    def _after(self, batch: Batch, answer: Exception | bool) -> tuple[Batch, ...]:
        events = len(batch.items)
        if answer is True:
            self._counts.add(sent=events)
            self.in_flight -= events
            return ()
        kind = type(answer).__name__
        if kind in TOO_LARGE and events > 1:
            return batch.halves()
        advice = f"; {REFUSALS[kind]}" if kind in REFUSALS else ""
        self._refuse(
            events, kind, f"{self._to} refused predictions for {self._target.topic}: {reason_of(answer)}{advice}"
        )
        return ()

    async def _write(self, batch: Batch) -> None:
        if self._producer is None:
            self._producer = await self._started()
        request_id = bytes.fromhex(batch.key)
        headers = [(REQUEST_ID_HEADER, request_id), (SENDER_HEADER, self._target.sender.encode(errors="replace"))]
        value = b"[" + b",".join(item.json for item in batch.items) + b"]"
        await self._producer.send_and_wait(self._target.topic, value, key=request_id, headers=headers)

    async def _started(self) -> Any:
        settings = {
            "client_id": AGENT.replace("/", "-"),
            "compression_type": "gzip",
            "request_timeout_ms": max(1, int(self._timeout * 1_000)),
            "retry_backoff_ms": RETRY_BACKOFF_MS,
            **self._target.settings,
        }
        producer = _producer_class()(bootstrap_servers=self._target.bootstrap, enable_idempotence=True, **settings)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _drop_producer(self) -> None:
        """End it and all that it has running, whatever it waits for: the next attempt makes another."""
        producer, self._producer = self._producer, None
        with suppress(Exception):
            if producer is not None:
                self._await(_stop(producer), 2 * STOP_SECONDS)
        if self._loop is not None and (left := asyncio.all_tasks(self._loop)):
            for each in left:
                each.cancel()
            self._loop.run_until_complete(asyncio.wait(left, timeout=STOP_SECONDS))

    def _await(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(asyncio.wait_for(work, max(0.01, seconds)))


async def _stop(producer: Any) -> None:
    try:
        await asyncio.wait_for(producer.stop(), STOP_SECONDS)
    except TimeoutError:  # it waits for what cannot be written
        await producer.client.close()


def _producer_class() -> Any:
    try:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415
    except ImportError as err:
        raise NotConfigured("transport='kafka' needs aiokafka: pip install 'sentryml[kafka]'") from err
    return AIOKafkaProducer


def _check(target: KafkaTarget) -> None:
    """Find a misspelled setting before the first event."""
    unknown = sorted(set(target.settings) - set(signature(_producer_class()).parameters))
    if unknown:
        raise NotConfigured(f"a producer of aiokafka has no setting {', '.join(unknown)}")
