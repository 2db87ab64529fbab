"""The outbox relay: rows that a transaction left for Kafka go there, in order per key, at least once.

A row is claimed, published and marked in one transaction, so a crash in between publishes it again and never
loses it. Woken by NOTIFY; polls every second anyway, since a notification may be lost. Each topic has a task of its
own, for all outboxes that go there: a revoked key waits neither for a backlog of transitions nor for a topic that Kafka
does not accept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Counter, Gauge

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.message import encode
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.outbox import Claim, Outbox
from sentryml_common.postgres.pool import AWAY, Connection, Pool, transaction
from sentryml_common.waiting import happened

log = get_logger(__name__)

POLL_SECONDS, SLOW_SECONDS = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Outboxes:
    """All outboxes of a service: `channel` is what PostgreSQL notifies when there is something in them, `measure`
    returns (rows that wait, age of the oldest in seconds)."""

    boxes: tuple[Outbox, ...]
    channel: str
    measure: Callable[[Connection, datetime], Awaitable[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class RelayMetrics:
    """What a relay shows: `published` by topic, what waits, and for how long."""

    published: Counter
    pending: Gauge
    oldest_seconds: Gauge


class Relay:
    """Publishes what the outboxes hold. Any number may run at once."""

    def __init__(
        self,
        pool: Pool,
        publisher: Publisher,
        outboxes: Outboxes,
        metrics: RelayMetrics,
        health: Health,
        clock: Clock = system_clock,
    ) -> None:
        self._pool, self._publisher, self._outboxes = pool, publisher, outboxes
        self._metrics, self._health, self._clock = metrics, health, clock
        self._wakes = {box.topic: asyncio.Event() for box in outboxes.boxes}
        self._waits: dict[str, str] = {}

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="relay-listen")
            for topic in self._wakes:
                tasks.create_task(self._publish_forever(topic), name=f"relay-publish-{topic}")
            tasks.create_task(self._measure_forever(), name="relay-measure")

    async def publish_all(self) -> int:
        """Publish until every outbox is empty; return how many rows that were.

        Raises:
            Unavailable: PostgreSQL or Kafka is away; what was claimed is free again.
        """
        return sum([await self._publish_all_to(topic) for topic in self._wakes])

    async def _publish_all_to(self, topic: str) -> int:
        published = 0
        for box in [each for each in self._outboxes.boxes if each.topic == topic]:
            while found := await self._publish_some(box):
                published += found
        return published

    async def _publish_some(self, box: Outbox) -> int:
        async with transaction(self._pool) as connection:
            claims = await box.claim(connection, self._clock())
            if claims:
                await self._publish(box, [Record(box.topic, each.key.encode(), _value(each)) for each in claims])
        self._metrics.published.labels(topic=box.topic).inc(len(claims))
        self._ready(box.topic)
        return len(claims)

    async def _publish(self, box: Outbox, records: list[Record]) -> None:
        """Publish; while Kafka is away this waits for it, and says so. What Kafka will never take counts as published:
        the publisher has logged it, and other rows wait behind it."""
        waits = f"Kafka has not accepted pending records within {SLOW_SECONDS:.0f} s: {box.topic}"
        slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._waiting, box.topic, waits)
        try:
            with suppress(RecordTooLarge):
                await self._publisher.publish(records)
        finally:
            slow.cancel()

    async def _publish_forever(self, topic: str) -> None:
        while True:
            self._wakes[topic].clear()
            try:
                if await self._publish_all_to(topic):
                    self._wake_others(topic)
            except Unavailable as err:
                log.warning("relay_waits", topic=topic, why=str(err))
                self._waiting(topic, str(err))
            await happened(self._wakes[topic], POLL_SECONDS)

    def _wake_others(self, published: str) -> None:
        """Rows of one outbox may wait for those of another to be published."""
        for topic, wake in self._wakes.items():
            if topic != published:
                wake.set()

    def _waiting(self, topic: str, why: str) -> None:
        self._waits[topic] = why
        self._health.waiting("relay", why)

    def _ready(self, topic: str) -> None:
        self._waits.pop(topic, None)
        if self._waits:
            self._health.waiting("relay", next(iter(self._waits.values())))
        else:
            self._health.ready("relay")

    async def _measure_forever(self) -> None:
        """Say what waits, above all while Kafka is away. While PostgreSQL is away, the last figures are kept."""
        while True:
            with suppress(Unavailable):
                async with transaction(self._pool) as connection:
                    pending, oldest = await self._outboxes.measure(connection, self._clock())
                self._metrics.pending.set(pending)
                self._metrics.oldest_seconds.set(oldest)
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self) -> None:
        """Hold a connection of its own that listens to NOTIFY; take a new one when it breaks."""
        while True:
            try:
                await self._listen_once()
            except AWAY as err:
                log.warning("relay_not_listening", why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(POLL_SECONDS)

    async def _listen_once(self) -> None:
        lost = asyncio.Event()
        async with self._pool.acquire() as connection:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._outboxes.channel, self._on_notify)
            try:
                await lost.wait()
            finally:
                if not lost.is_set():
                    await connection.remove_listener(self._outboxes.channel, self._on_notify)

    def _on_notify(self, *_: object) -> None:
        for wake in self._wakes.values():
            wake.set()


def _value(claim: Claim) -> bytes | None:
    return None if claim.message is None else encode(claim.message)
