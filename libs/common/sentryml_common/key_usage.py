"""When API keys are used: noted in memory, reported at most once a minute per key, never in the way of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import API_KEY_USAGE
from sentryml_common.errors import Unavailable
from sentryml_common.kafka.producer import Publisher, Record
from sentryml_common.logging import get_logger

log = get_logger(__name__)

REPORT_EVERY = timedelta(minutes=1)
KEYS_MAX = 10_000
"""Keys that are remembered: beyond that the one noted longest ago is forgotten, and may be reported again sooner."""
RETRY_PAUSE_SECONDS = 5.0

T = TypeVar("T")
Sink: TypeAlias = Callable[[list[ApiKeyUsage]], Awaitable[None]]


class KeyUsage:
    """Notes uses of keys for one service; a task publishes them."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._noted: dict[str, datetime] = {}
        self._pending: dict[str, ApiKeyUsage] = {}
        self._wake = asyncio.Event()

    def note(self, key_id: str, now: datetime) -> None:
        """A key was used. Costs one dictionary lookup, and never waits."""
        last = self._noted.get(key_id)
        # abs: after a clock was set back, uses of a key are reported before the old time is reached again.
        if last is not None and abs(now - last) < REPORT_EVERY:
            return
        _remember(self._noted, key_id, now)
        _remember(self._pending, key_id, ApiKeyUsage(key_id=key_id, used_at=now, service=self._service))
        self._wake.set()

    async def publish_forever(self, sink: Sink) -> None:
        """Publish what is noted until cancelled. While `sink` is Unavailable, the newest use of each key waits."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._pending = self._pending, {}
            try:
                await sink(list(batch.values()))
            except Unavailable as err:
                log.warning("key_usage_waits", keys=len(batch), why=str(err))
                for key_id, usage in batch.items():
                    self._pending.setdefault(key_id, usage)
                self._wake.set()
                await asyncio.sleep(RETRY_PAUSE_SECONDS)


def _remember(newest_last: dict[str, T], key_id: str, value: T) -> None:
    """Enter as the newest, and forget the oldest beyond KEYS_MAX."""
    newest_last.pop(key_id, None)
    newest_last[key_id] = value
    if len(newest_last) > KEYS_MAX:
        del newest_last[next(iter(newest_last))]


def publish_usage(publisher: Publisher) -> Sink:
    """A sink that is `api-key-usage.v1`."""

    async def publish(usages: list[ApiKeyUsage]) -> None:
        await publisher.publish(Record(API_KEY_USAGE.name, each.key_id.encode(), encode(each)) for each in usages)

    return publish
