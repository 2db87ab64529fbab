"""Work beside the dispatcher: a channel that does not answer holds up no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sentryml_common.errors import Unavailable
from sentryml_notifier import by_channel
from sentryml_notifier.by_channel import work_by_channel
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Served:
    """A channel of the kind that is worked for."""


def open_channel(number: int, channel: Any) -> tuple[UUID, SimpleNamespace]:
    return UUID(int=number), SimpleNamespace(name=f"channel {number}", channel=channel)


async def test_no_channel_waits_for_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_channel, "CHECK_EVERY_SECONDS", 0.001)
    registry: Any = SimpleNamespace(
        opened=dict(
            [open_channel(1, Served()), open_channel(2, Served()), open_channel(3, Served()), open_channel(4, 0)]
        )
    )
    calls: Counter[str] = Counter()

    async def work(channel: Any) -> None:
        calls[channel.name] += 1
        if channel.name == "channel 1":
            await asyncio.Event().wait()
        if channel.name == "channel 2":
            raise Unavailable("PostgreSQL is away")

    working = asyncio.create_task(work_by_channel(registry, Served, work, "test"))

    async def again() -> bool:
        return calls["channel 2"] > 2 and calls["channel 3"] > 2

    await eventually(again, what="the others to be served again and again")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert calls["channel 1"] == 1, "once at a time"
    assert calls["channel 4"] == 0, "of another kind"
