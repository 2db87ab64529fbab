"""The answer to a subscriber: server-sent events, until either side has enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.streaming.subscribers import Subscriber

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Buffering proxies (nginx) pass events on at once."""


class SubscriberResponse(EventSourceResponse):
    """Leaves the hub however the answer ends."""

    def __init__(self, hub: Hub, subscriber: Subscriber, frames: AsyncIterator[bytes]) -> None:
        super().__init__(frames, headers=HEADERS)
        self._hub, self._subscriber = hub, subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._subscriber)
