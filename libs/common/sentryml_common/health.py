"""What a service waits for: its adapters say it, `/readyz` shows it."""

from __future__ import annotations

import asyncio


class Health:
    """What the service is waiting for, by name. Starts out waiting for `start`.

    Also details: faults that do not make the service unready.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {"start": "starting"}
        self._details: dict[str, dict[str, str]] = {}
        self._ready = asyncio.Event()

    def waiting(self, what: str, why: str) -> None:
        """Not ready: `what` is missing, `why` says what exactly is waited for."""
        self._waiting[what] = why
        self._ready.clear()

    def ready(self, what: str) -> None:
        """`what` is no longer waited for."""
        self._waiting.pop(what, None)
        if not self._waiting:
            self._ready.set()

    async def until_ready(self) -> None:
        """Wait until nothing is waited for."""
        await self._ready.wait()

    def details(self, what: str, texts: dict[str, str]) -> None:
        """Set the details about `what`, by name; none if empty."""
        self._details.pop(what, None)
        if texts:
            self._details[what] = texts

    @property
    def all_details(self) -> dict[str, dict[str, str]]:
        """All details; they make nothing unready."""
        return dict(self._details)

    @property
    def waiting_for(self) -> dict[str, str]:
        """Everything that is being waited for now; empty means ready."""
        return dict(self._waiting)
