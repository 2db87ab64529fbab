"""Applications for tests: copies that share their routes, and real HTTP servers that end at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import copy

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State


def a_copy(app: FastAPI) -> FastAPI:
    """The same routes with a state of its own. An application's first request resolves its routes, which takes longer
    than most tests; copies share the result."""
    another = copy(app)
    another.state = State()
    another.middleware_stack = None
    return another


class Server(uvicorn.Server):
    """uvicorn that leaves signals to the tests, has no ticks, and waits for no request that is still open."""

    def __init__(self, app: FastAPI, lifespan: bool) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, lifespan="auto" if lifespan else "off"))
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End it."""
        self._stopping.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def main_loop(self) -> None:
        """Wait for `stop`."""
        await self.on_tick(0)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        answering = list(self.server_state.tasks)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await self.lifespan.shutdown()


@asynccontextmanager
async def served(
    app: FastAPI, *, lifespan: bool = True, before_stop: Callable[[], None] = lambda: None
) -> AsyncIterator[str]:
    """Serve an application over real HTTP; yields host and port."""
    # asyncio sends at once (TCP_NODELAY) only where the protocol is named; otherwise answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # now: the server does it in its own time, and until then another process is refused
    server = Server(app, lifespan)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        before_stop()
        server.stop()
        await task
        listener.close()
