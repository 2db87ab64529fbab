"""What every kind of channel does: one attempt to deliver one message, and an honest account of it."""

from __future__ import annotations

from typing import Protocol

from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.domain.message import Message


class Channel(Protocol):
    """A place that messages go to.

    `send` makes one attempt within a bounded time, never raises for what the other side does, and never waits to
    try again: what happens next is decided elsewhere.
    """

    async def send(self, message: Message, *, plain: bool) -> SendResult:
        """Try once; `plain` asks for the simplest form that the other side takes."""
        ...
