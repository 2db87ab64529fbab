"""Clients of ingest that give up waiting and send the same request again: each of their requests counts once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex, token_urlsafe

import httpx

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import API_KEYS
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.settings import KafkaSettings
from tests.support.counting import Producer
from tests.support.http_client import http_client
from tests.support.traffic import some_batches

CLIENTS = 10
TIMEOUTS = (0.003, 0.01, 0.03, 5.0)
"""Most are too short for an answer, but not for the request to arrive."""
AGAIN, LONGEST_BREAK_SECONDS = 0.3, 4.0
"""How often an answered request is sent again, and how much later."""


async def make_key(settings: KafkaSettings) -> str:
    """A key that ingest knows."""
    key_id = token_hex(6)
    text = form_key(key_id, token_urlsafe(32))
    known = ApiKey(key_id=key_id, name="chaos", key_hash=hash_key(text), scopes=(Scope.EVENTS_WRITE,), models=())
    async with open_publisher(settings, Health()) as publisher:
        await publisher.publish([Record(API_KEYS.name, key_id.encode(), encode(known))])
    return text


@dataclass(slots=True)
class RetryingClients:
    """Several at once; `counts` says how it went."""

    url: str
    key: str
    producer: Producer
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, enough: asyncio.Event) -> None:
        """Send until it is enough; returns when every request has been answered 202."""
        limits = httpx.Limits(max_connections=None)
        async with http_client(self.url, limits=limits) as http:
            await asyncio.gather(*(self._client(http, enough) for _ in range(CLIENTS)))

    async def _client(self, http: httpx.AsyncClient, enough: asyncio.Event) -> None:
        while not enough.is_set():
            for batch in some_batches(self.rng):
                await self._send(http, batch)
                if enough.is_set():
                    return

    async def _send(self, http: httpx.AsyncClient, batch: list[dict[str, object]]) -> None:
        """Send a request until it is answered, and perhaps once more: it counts once."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": token_hex(16)}
        while not await self._attempt(http, batch, headers):
            self.counts["retries"] += 1
        self.counts["requests"] += 1
        self.producer.count(batch)
        if self.rng.random() < AGAIN:
            await asyncio.sleep(self.rng.random() * LONGEST_BREAK_SECONDS)
            await self._attempt(http, batch, headers)

    async def _attempt(self, http: httpx.AsyncClient, batch: list[dict[str, object]], headers: dict[str, str]) -> bool:
        """Whether it was answered 202. Where it was not, a moment passes."""
        with suppress(httpx.TransportError):
            answer = await http.post("/v1/events", json=batch, headers=headers, timeout=self.rng.choice(TIMEOUTS))
            assert answer.status_code in (202, 503), answer.text
            if answer.status_code == 202:
                return True
        await asyncio.sleep(self.rng.random() * 0.2)
        return False
