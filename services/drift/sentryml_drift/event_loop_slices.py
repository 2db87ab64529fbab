"""Long work on the event loop, in slices: between two of them heartbeats are sent and requests answered."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.01


class Pacer:
    """Called often within a long step of work, yields to the event loop whenever `slice_seconds` have passed.

    Nothing else runs between two calls that did not yield; whatever was read before a call may have changed after
    it. One pacer belongs to one task.
    """

    __slots__ = ("_began", "_slice_seconds")

    def __init__(self, slice_seconds: float | None = None) -> None:
        self._slice_seconds = SLICE_SECONDS if slice_seconds is None else slice_seconds
        self._began = time.monotonic()

    async def __call__(self) -> None:
        """Yield to the event loop if this slice has lasted long enough."""
        if time.monotonic() - self._began >= self._slice_seconds:
            await asyncio.sleep(0)
            self._began = time.monotonic()
