"""Connections of the HTTP server: who sends a request has a bounded time for its headers, and for its body.

uvicorn bounds how long a connection may be idle between requests, and nothing else: half a request would stay open for
ever. What takes time on our side, work on a request or a long answer, is not limited here.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sentryml_common.http.problems import Problem
from sentryml_common.metrics import HTTP_TIMEOUTS

PARTS: dict[Any, str] = {h11.IDLE: "headers", h11.SEND_BODY: "body"}
"""What the other side still has to send, by its state."""
IPV4_IN_IPV6 = "::ffff:"


def protocol_with_limits(*, headers_seconds: float, body_seconds: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that gives senders this time for the headers and for the body of each request."""
    seconds = {"headers": headers_seconds, "body": body_seconds}
    return type("LimitedProtocol", (_LimitedProtocol,), {"seconds": seconds})


class _LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a timer: it runs while the other side has something to send."""

    seconds: dict[str, float]
    _timer: asyncio.TimerHandle | None = None
    _awaited: tuple[str | None, object] = (None, None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            # So an IPv4 sender of a socket for both is known: to trusted proxies and throttling it is one address.
            self.client = (self.client[0].removeprefix(IPV4_IN_IPV6), self.client[1])
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def _watch(self) -> None:
        """Start the timer where something else is awaited than before. More of the same does not prolong it."""
        part = PARTS.get(self.conn.their_state)
        if part == "headers" and self.timeout_keep_alive_task is not None:
            part = None  # idle between two requests, which uvicorn watches
        awaited = (part, self.cycle)
        if awaited == self._awaited:
            return
        self._stop_timer()
        self._awaited = awaited
        if part is not None:
            self._timer = self.loop.call_later(self.seconds[part], self._give_up, part)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, part: str) -> None:
        """Close the connection; with an answer, unless one is on its way or nothing was sent."""
        if self.transport.is_closing():
            return
        HTTP_TIMEOUTS.labels(part=part).inc()
        # Browsers open connections ahead, and would show an answer that nothing was asked for.
        asked = part == "body" or self.conn.trailing_data[0]
        if asked and self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._answer_408(part)
        if self.cycle is not None:
            self.cycle.disconnected = True  # so that nothing is sent after this
            self.cycle.message_event.set()
        self.transport.close()

    def _answer_408(self, part: str) -> None:
        detail = f"the {part} did not arrive within {self.seconds[part]:g} s: send the request again"
        answer = Problem(408, "request-timeout", detail, headers={"Connection": "close"}).response()
        head = h11.Response(status_code=408, headers=answer.raw_headers, reason=b"Request Timeout")
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
