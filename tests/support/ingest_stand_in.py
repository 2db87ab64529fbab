"""A local HTTP server in the place of ingest: answers as a test says, and keeps what it was sent."""

from __future__ import annotations

import gzip
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sml_000000000000_key"


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `close` cuts the connection instead."""

    status: int = 202
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False


Answering = Callable[[Received], Reply]


class StandIn:
    """What was received, and what is answered: `replies` first, then what `answering` says."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.answering: Answering = lambda request: Reply(202, {"accepted": len(request.body or ())})
        self.connections = 0
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""

    def events(self) -> list[dict[str, Any]]:
        """All events of requests that were answered 202, in order."""
        return [event for each in self.accepted for event in each.body]

    @property
    def accepted(self) -> list[Received]:
        """The requests that were answered 202."""
        return [
            request
            for request, reply in zip(self.received, self.answers, strict=False)
            if reply.status == 202 and not reply.close
        ]

    answers: list[Reply]


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run one on a free port."""
    state = StandIn()
    state.answers = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            state.connections += 1
            super().setup()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def handle_request(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                raw = gzip.decompress(raw)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, json.loads(raw) if raw else None)
            state.gate.wait(30)
            reply = state.replies.popleft() if state.replies else state.answering(request)
            state.received.append(request)
            state.answers.append(reply)
            if reply.close:
                self.close_connection = True
                return
            self.answer(reply)

        do_GET = do_POST = do_PUT = handle_request

        def answer(self, reply: Reply) -> None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def problem(status: int, kind: str, detail: str = "…", headers: dict[str, str] | None = None, **members: Any) -> Reply:
    """An error as SentryML's services answer it."""
    body = {"type": f"urn:sentryml:problem:{kind}", "title": "…", "status": status, "detail": detail, **members}
    return Reply(status, body, {"Content-Type": "application/problem+json", **(headers or {})})
