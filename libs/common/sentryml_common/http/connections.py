"""Connections of the HTTP server: a sender has a bounded time for the headers and for the body of a request, and
headers have a bounded length.

uvicorn bounds how long a connection may be idle between requests, and nothing else: half a request would stay open for
ever. What takes time on our side, work on a request or a long answer, is not limited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sentryml_common.http.problems import Problem
from sentryml_common.metrics import HTTP_TIMEOUTS

IPV4_IN_IPV6 = "::ffff:"
MOST_HEADER_BYTES = 65_536
REQUEST, IDLE_SECONDS = "next request", 5.0
"""After this time without another request a connection is closed, at the next check."""
NEW_SECONDS = 0.5
"""When a service stops, the time for the first request of a connection to begin to arrive."""


Answer = Callable[[Response], None]
TakeBody = Callable[[bytes | None], None]
"""Takes the body of a request: whole, or as soon as it is too long; None if the connection ended. Raises nothing."""


class Endpoint(Protocol):
    """Answers requests of one kind as they come from the connection, without a task or the framework's layers: those
    cost several times what a small request does."""

    most_body_bytes: int

    def begin(self, scope: Any, answer: Answer) -> TakeBody | None:
        """What takes the body of a request with this head; `answer` is called once, sooner or later. None if the
        request is for the framework."""


def protocol_with_limits(
    *, headers_seconds: float, body_seconds: float, endpoint: Endpoint | None = None
) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that gives senders this time for the headers and for the body of each request."""
    seconds = {"headers": headers_seconds, "body": body_seconds, REQUEST: IDLE_SECONDS}
    return type("LimitedProtocol", (_LimitedProtocol,), {"seconds": seconds, "endpoint": endpoint})


class _OneWrite:
    """The transport of one answer: its head waits for what is written in the same step, so that a short answer is one
    packet and one system call, not two."""

    __slots__ = ("_head", "_loop", "_transport", "_written", "close", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head, self._written = b"", False
        self.close, self.is_closing = transport.close, transport.is_closing

    def write(self, data: bytes) -> None:
        if self._written:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head, self._written = data, True
            self._loop.call_soon(self._write_head)

    def _write_head(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""


class _LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a clock, which counts while the other side has a part of a request to send.

    A request notes only what is awaited and since when. One timer for each connection checks that now and then, and
    is set again for what is left: a timer for each request would cost more than the request's parsing.
    """

    seconds: dict[str, float]
    endpoint: Endpoint | None
    _take_body: TakeBody | None = None  # of the request whose body is coming, where the endpoint answers it
    _awaited: str | None = None
    _since = 0.0
    _begun = False
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            # So an IPv4 sender of a socket for both is known: to trusted proxies and throttling it is one address.
            self.client = (self.client[0].removeprefix(IPV4_IN_IPV6), self.client[1])
        self._await("headers")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._awaited != "headers" or not self._begun:
            return
        self._header_bytes += len(data)
        if self._header_bytes > MOST_HEADER_BYTES:
            detail = f"the headers may have {MOST_HEADER_BYTES:,} bytes: send fewer or shorter ones"
            self._refuse(Problem(431, "headers-too-large", detail))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._header_bytes = True, 0
        self._await("headers")

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._await("body")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin with a request: its head is there, and those before it are answered. Who does not read the answers, or
        wants to know first whether to send the body, is waited for by uvicorn."""
        cycle.keep_alive = cycle.keep_alive and not self._stopping
        take_body = None
        if self.endpoint is not None and not cycle.waiting_for_100_continue and not self.flow.write_paused:
            take_body = self.endpoint.begin(cycle.scope, partial(self._answer, cycle))
        if take_body is None:
            # It calls nothing but methods of a transport.
            cycle.transport = cast(asyncio.Transport, _OneWrite(self.transport, self.loop))
            super()._start_asgi_task(cycle, app)
        else:
            self._take_body = take_body
            if not cycle.more_body:
                self._hand_over(cycle)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self._take_body is not None and self.endpoint is not None:
            self.flow.resume_reading()
            if len(self.cycle.body) > self.endpoint.most_body_bytes:
                self._hand_over(self.cycle)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._awaited, self._begun = None, False
        self._hand_over(self.cycle)
        if self.cycle.response_complete:
            self._await(REQUEST)

    def _hand_over(self, cycle: RequestResponseCycle) -> None:
        """Give the endpoint the body, and keep none of it: many requests may wait for their answers."""
        take_body, self._take_body = self._take_body, None
        if take_body is not None:
            body, cycle.body = None if cycle.disconnected else bytes(cycle.body), bytearray()
            take_body(body)

    def _answer(self, cycle: RequestResponseCycle, answer: Response) -> None:
        """Send the whole answer to a request."""
        if cycle.disconnected or cycle.response_complete:
            return
        lines = [b"%b: %b\r\n" % each for each in (*cycle.default_headers, *answer.raw_headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((STATUS_LINE[answer.status_code], *lines, b"\r\n", answer.body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """As uvicorn does, without a timer of its own for the time until the next request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._awaited is None:
            self._await(REQUEST)

    def shutdown(self) -> None:
        """The service stops. The request of a connection that was just made may be on its way: it is answered."""
        if self.cycle is not None:
            super().shutdown()
            return
        self._stopping = True
        self.loop.call_later(NEW_SECONDS, self._close_unless_used)

    def _close_unless_used(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._hand_over(self.cycle)
        self._awaited = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(Problem(400, "not-http", "this is not an HTTP/1.1 request: check what is sent to this port"))

    def _await(self, part: str) -> None:
        self._awaited, self._since = part, self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds[part], self._check)

    def _check(self) -> None:
        """Give up where the time is over; else come back when it would be."""
        self._timer = None
        if self._awaited is None:
            return
        left = self._since + self.seconds[self._awaited] - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._check)
        else:
            self._give_up(self._awaited)

    def _give_up(self, part: str) -> None:
        """Close the connection; with an answer, unless nothing was sent: browsers open connections ahead."""
        if self.transport.is_closing():
            return
        if part == REQUEST:
            self.transport.close()
            return
        HTTP_TIMEOUTS.labels(part=part).inc()
        detail = f"the {part} did not arrive within {self.seconds[part]:g} s: send the request again"
        self._refuse(Problem(408, "request-timeout", detail) if self._begun else None)

    def _refuse(self, problem: Problem | None) -> None:
        """Close the connection, with a problem unless another answer is on its way, or was sent."""
        if problem is not None and not self._is_answering():
            answer = problem.response()
            headers = [*answer.raw_headers, (b"connection", b"close")]
            head = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(answer.body))
        if self.cycle is not None:
            self.cycle.disconnected = True  # so that nothing is sent after this
            self.cycle.message_event.set()
        self._awaited = None
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the request that is awaited, or the one before it, has got a part of its answer but not all."""
        if self.cycle is None or self._awaited == "headers":
            return self.cycle is not None and not self.cycle.response_complete
        return bool(self.pipeline) or self.cycle.response_started
