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


def _pause(waited: float) -> float:
    """Seconds until the next attempt: what takes long is asked for less often, since attempts take CPU from it."""
    return min(0.5, max(0.05, waited / 20))


async def eventually(attempt: Callable[[], Awaitable[T]], *, what: str, within: float = LONG_SECONDS) -> T:
    """Call `attempt` until it returns something true, and return that.

    Raises:
        AssertionError: it does not within `within` seconds; says `what` was waited for and what came last.
    """
    began = time.monotonic()
    while True:
        result = await attempt()
        if result:
            return result
        waited = time.monotonic() - began
        assert waited < within, f"waited {within:.0f} s for {what}; last: {result!r}"
        await asyncio.sleep(_pause(waited))


def eventually_sync(attempt: Callable[[], T], *, what: str, within: float = LONG_SECONDS) -> T:
    """The same for code without a loop."""
    began = time.monotonic()
    while True:
        result = attempt()
        if result:
            return result
        waited = time.monotonic() - began
        assert waited < within, f"waited {within:.0f} s for {what}; last: {result!r}"
        _PAUSE.wait(_pause(waited))
