"""Clients with the Kafka transport, whose broker is killed beneath them: each of their events counts once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from sentryml import Client
from tests.support.counting import Producer
from tests.support.traffic import some_batches

CLIENTS = 2
BATCH_SECONDS = 0.1
QUEUE_EVENTS = 1_000_000
"""None is dropped, however long Kafka is away."""
CLOSE_SECONDS = 180.0


@dataclass(slots=True)
class KafkaClients:
    """Several at once; `counts` says how it went."""

    bootstrap: str
    producer: Producer
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, enough: asyncio.Event) -> None:
        """Log until it is enough; returns when Kafka has all."""
        await asyncio.gather(*(self._client(enough) for _ in range(CLIENTS)))

    async def _client(self, enough: asyncio.Event) -> None:
        client = Client(
            transport="kafka", bootstrap=self.bootstrap, queue_events=QUEUE_EVENTS, batch_seconds=BATCH_SECONDS
        )
        while not enough.is_set():
            for batch in some_batches(self.rng):
                for event in batch:
                    client.log(**event)  # type: ignore[arg-type]
                self.producer.count(batch)
            await asyncio.sleep(1.0)
        await asyncio.to_thread(client.close, CLOSE_SECONDS)
        stats = client.stats()
        self.counts.update(sent=stats.sent, retries=stats.retries, dropped=stats.dropped, refused=stats.refused)
