"""An event loop whose clock jumps: who sleeps sleeps in no time, and the same program runs the same way every time.

For code that waits for its own tasks and timers alone. Nothing from outside (a socket, a thread) may be waited for:
time goes on as soon as all tasks wait.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingClock(selectors.DefaultSelector):
    """Instead of waiting for the next timer, sets the clock to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.turns = 0.0, 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing comes from outside.

        Raises:
            RuntimeError: every task waits, and no timer will ever end that.
        """
        self.turns += 1
        if timeout is None:
            raise RuntimeError("every task waits for another one: nothing would ever happen again")
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._clock = _JumpingClock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since the loop was made, in its own time."""
        return self._clock.now

    @property
    def turns(self) -> int:
        """How often all tasks that could go on have had their turn."""
        return self._clock.turns


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, run by a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
