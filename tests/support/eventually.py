"""Waiting for a condition: the only way tests wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LONG_SECONDS = 240.0
_PAUSE = threading.Event()


async def eventually(attempt: Callable[[], Awaitable[T]], *, what: str, within: float = LONG_SECONDS) -> T:
    """Call `attempt` until it returns something true, and return that.

    Raises:
        AssertionError: it does not within `within` seconds; says `what` was waited for and what came last.
    """
    end = time.monotonic() + within
    while True:
        result = await attempt()
        if result:
            return result
        assert time.monotonic() < end, f"waited {within:.0f} s for {what}; last: {result!r}"
        await asyncio.sleep(0.05)


def eventually_sync(attempt: Callable[[], T], *, what: str, within: float = LONG_SECONDS) -> T:
    """The same for code without a loop."""
    end = time.monotonic() + within
    while True:
        result = attempt()
        if result:
            return result
        assert time.monotonic() < end, f"waited {within:.0f} s for {what}; last: {result!r}"
        _PAUSE.wait(0.05)
