"""The outbox relay: rows that a transaction left for Kafka go there, in order per key, at least once.

A row is claimed, published and marked in one transaction, so a crash in between publishes it again and never
loses it. Woken by NOTIFY; looks every second anyway, since a wake-up is only a hint.
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
from sentryml_common.errors import Unavailable
from sentryml_common.http.health import Health
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger
from sentryml_common.outbox import Claim, Outbox
from sentryml_common.postgres.pool import AWAY, Connection, Pool, transaction
from sentryml_common.waiting import happened

log = get_logger(__name__)

POLL_SECONDS, SLOW_SECONDS = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Outboxes:
    """All outboxes of a service: `channel` is what PostgreSQL notifies when there is something in them, `measure` tells
    (rows that wait, age of the oldest in seconds)."""

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
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="relay-listen")
            tasks.create_task(self._publish_for_ever(), name="relay-publish")
            tasks.create_task(self._measure_for_ever(), name="relay-measure")

    async def publish_all(self) -> int:
        """Publish until every outbox is empty; return how many rows that were.

        Raises:
            Unavailable: PostgreSQL or Kafka is away; what was claimed is free again.
        """
        published = 0
        for box in self._outboxes.boxes:
            while found := await self._publish_some(box):
                published += found
        return published

    async def _publish_some(self, box: Outbox) -> int:
        async with transaction(self._pool) as connection:
            claims = await box.claim(connection, self._clock())
            if claims:
                await self._publish([Record(box.topic, each.key.encode(), _value(each)) for each in claims])
        self._metrics.published.labels(topic=box.topic).inc(len(claims))
        return len(claims)

    async def _publish(self, records: list[Record]) -> None:
        """Publish; while Kafka is away this waits for it, and says so."""
        told = f"Kafka has not taken what waits for it within {SLOW_SECONDS:.0f} s"
        slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._health.waiting, "relay", told)
        try:
            await self._publisher.publish(records)
        finally:
            slow.cancel()

    async def _publish_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.publish_all()
            except Unavailable as err:
                log.warning("relay_waits", why=str(err))
                self._health.waiting("relay", str(err))
            else:
                self._health.ready("relay")
            await happened(self._wake, POLL_SECONDS)

    async def _measure_for_ever(self) -> None:
        """Say what waits, above all while Kafka is away. While PostgreSQL is, nobody knows: the last figures stand."""
        while True:
            with suppress(Unavailable):
                async with transaction(self._pool) as connection:
                    pending, oldest = await self._outboxes.measure(connection, self._clock())
                self._metrics.pending.set(pending)
                self._metrics.oldest_seconds.set(oldest)
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self) -> None:
        """Hold a connection of its own that hears NOTIFY; take a new one when it breaks."""
        while True:
            try:
                await self._listen_once()
            except AWAY as err:
                log.warning("relay_does_not_hear", why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(POLL_SECONDS)

    async def _listen_once(self) -> None:
        lost = asyncio.Event()
        async with self._pool.acquire() as connection:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._outboxes.channel, self._heard)
            try:
                await lost.wait()
            finally:
                if not lost.is_set():
                    await connection.remove_listener(self._outboxes.channel, self._heard)

    def _heard(self, *_: object) -> None:
        self._wake.set()


def _value(claim: Claim) -> bytes | None:
    return None if claim.message is None else encode(claim.message)
