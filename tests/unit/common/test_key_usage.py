"""Uses of API keys: reported once a minute per key, the newest kept while the sink is away, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.errors import Unavailable
from sentryml_common.key_usage import KeyUsage
from tests.support.eventually import eventually
from tests.unit.common.keys import KEY, KEY_ID, NOW, api_key, gatekeeper_of


class UsageSink:
    """A sink that is unavailable for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.usages: list[ApiKeyUsage] = []

    async def __call__(self, usages: list[ApiKeyUsage]) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("nobody is there")
        self.usages += usages


@asynccontextmanager
async def publishing(usage: KeyUsage, sink: UsageSink) -> AsyncIterator[None]:
    task = asyncio.create_task(usage.publish_forever(sink))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def all_reported(sink: UsageSink, count: int) -> list[ApiKeyUsage]:
    async def there() -> bool:
        return len(sink.usages) >= count

    await eventually(there, what=f"{count} uses to be reported", within=10)
    return sink.usages


async def test_a_use_is_reported_with_its_key_its_time_and_the_service() -> None:
    usage, sink = KeyUsage("ingest"), UsageSink()
    async with publishing(usage, sink):
        usage.note(KEY_ID, NOW)
        assert await all_reported(sink, 1) == [ApiKeyUsage(key_id=KEY_ID, used_at=NOW, service="ingest")]


async def test_a_key_is_reported_once_a_minute_and_each_key_for_itself() -> None:
    usage, sink = KeyUsage("ingest"), UsageSink()
    async with publishing(usage, sink):
        for second, count in ((0, 1), (1, 1), (59.999, 1), (60, 2), (61, 2), (120, 3)):
            usage.note(KEY_ID, NOW + timedelta(seconds=second))
            await all_reported(sink, count)
        usage.note("another00000", NOW)
        found = await all_reported(sink, 4)
    assert [(each.key_id, (each.used_at - NOW).total_seconds()) for each in found] == [
        (KEY_ID, 0), (KEY_ID, 60), (KEY_ID, 120), ("another00000", 0),
    ]  # fmt: skip


async def test_a_clock_that_was_set_back_does_not_silence_a_key() -> None:
    usage, sink = KeyUsage("ingest"), UsageSink()
    async with publishing(usage, sink):
        usage.note(KEY_ID, NOW)
        await all_reported(sink, 1)
        usage.note(KEY_ID, NOW - timedelta(hours=1))
        await all_reported(sink, 2)


async def test_while_nobody_listens_the_newest_use_of_each_key_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentryml_common.key_usage.RETRY_PAUSE_SECONDS", 0.01)
    usage, sink = KeyUsage("ingest"), UsageSink(away=3)
    for minute in range(5):
        usage.note(KEY_ID, NOW + timedelta(minutes=minute))
    async with publishing(usage, sink):
        [found] = await all_reported(sink, 1)
    assert (found.used_at, sink.away) == (NOW + timedelta(minutes=4), 0)


async def test_of_very_many_keys_the_one_noted_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentryml_common.key_usage.KEYS_MAX", 3)
    usage, sink = KeyUsage("ingest"), UsageSink()
    async with publishing(usage, sink):
        for key_id in ("a", "b", "c", "d"):
            usage.note(key_id * 12, NOW)
        await all_reported(sink, 3)
        usage.note("d" * 12, NOW)  # remembered
        usage.note("a" * 12, NOW)  # forgotten, so reported again
        found = await all_reported(sink, 4)
    assert [each.key_id[0] for each in found] == ["b", "c", "d", "a"]


async def test_the_gatekeeper_notes_whom_it_knows_and_nobody_else() -> None:
    gatekeeper, sink = gatekeeper_of(api_key()), UsageSink()
    async with publishing(gatekeeper.usage, sink):
        for authorization in (None, "Bearer nonsense", f"Bearer {'x' * 68}"):
            with pytest.raises(Exception, match="API key"):
                gatekeeper.admit(authorization)
        gatekeeper.admit(f"Bearer {KEY}")
        assert [each.key_id for each in await all_reported(sink, 1)] == [KEY_ID]
