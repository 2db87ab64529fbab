"""A request that stops coming is given up when its time is over, in a time that jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from sentryml_common.http.connections import protocol_with_limits
from tests.support.virtual_time import run_in_virtual_time

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
SECONDS = {"headers_seconds": 30.0, "body_seconds": 50.0}


class Sent(asyncio.Transport):
    """Keeps what the server sends, and when it closed the connection (seconds since the start)."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.data, self.closed_at = b"", 0.0

    def write(self, data: Any) -> None:
        self.data += data

    def close(self) -> None:
        self.closed_at = self.closed_at or asyncio.get_running_loop().time()

    def is_closing(self) -> bool:
        return self.closed_at > 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def wait_for_the_body(_: Scope, receive: Receive, __: Send) -> None:
    """An application that answers nobody before that."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def gives_up(received: bytes) -> Sent:
    """What a server does that receives this, and nothing more in five minutes."""
    config = uvicorn.Config(wait_for_the_body, http=protocol_with_limits(**SECONDS), log_config=None)
    config.load()
    made: Any = config.http_protocol_class
    protocol, sent = made(config=config, server_state=ServerState(), app_state={}), Sent()
    protocol.connection_made(sent)
    protocol.data_received(received)
    await asyncio.sleep(300)
    return sent


@pytest.mark.parametrize(("received", "seconds"), [(b"P", 30.0), (HEAD, 30.0), (HEAD + b"\r\n12345", 50.0)])
def test_a_request_that_stops_coming_is_answered_when_its_time_is_over(received: bytes, seconds: float) -> None:
    sent = run_in_virtual_time(gives_up(received))
    assert sent.closed_at == pytest.approx(seconds)
    assert sent.data.startswith(b"HTTP/1.1 408 ")
