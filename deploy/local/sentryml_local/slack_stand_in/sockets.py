"""The stand-in's side of Socket Mode: connections that apps open, and envelopes sent down to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

import orjson
from aiohttp import WSMsgType, web

from sentryml_local.slack_stand_in.workspace import Body, Workspace

PATIENCE_SECONDS = 60.0


class Sockets:
    """The open connections, oldest first, and what the apps have confirmed."""

    def __init__(self) -> None:
        self.connected: list[web.WebSocketResponse] = []
        self.confirmed: set[str] = set()
        self.changed = asyncio.Condition()
        self._numbers = count(1)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(orjson.dumps({"type": "hello", "num_connections": len(self.connected) + 1}).decode())
        await self._note(lambda: self.connected.append(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._note(partial(self.confirmed.add, orjson.loads(message.data)["envelope_id"]))
        finally:
            await self._note(lambda: self.connected.remove(socket))
        return socket

    async def send(self, payload: Body) -> str:
        """Send a press to one of the connections, and return the envelope's id when it is confirmed.

        Raises:
            TimeoutError: no app is connected, or it confirms nothing.
        """
        await self._until(lambda: bool(self.connected))
        envelope_id = f"envelope-{next(self._numbers)}"
        envelope = {"type": "interactive", "envelope_id": envelope_id, "payload": payload}
        await self.connected[-1].send_str(orjson.dumps(envelope).decode())
        await self._until(lambda: envelope_id in self.confirmed)
        return envelope_id

    async def ask_to_reconnect(self) -> None:
        """Have the newest connection replaced, as Slack does every few hours; return when it is gone."""
        socket = self.connected[-1]
        await socket.send_str(orjson.dumps({"type": "disconnect", "reason": "refresh_requested"}).decode())
        await self._until(lambda: socket not in self.connected)

    async def cut(self) -> None:
        """Close the newest connection; return when it is gone."""
        socket = self.connected[-1]
        await socket.close()
        await self._until(lambda: socket not in self.connected)

    async def _until(self, fits: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(fits)

    async def _note(self, change: Callable[[], object]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()


@asynccontextmanager
async def open_sockets(workspace: Workspace, host: str = "127.0.0.1") -> AsyncIterator[Sockets]:
    """Serve Socket Mode for a workspace, on a port of its own."""
    sockets = Sockets()
    application = web.Application()
    application.router.add_get("/link", sockets.serve)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        port = runner.addresses[0][1]
        workspace.socket_url = f"ws://{host}:{port}/link?ticket=s3cr3t-ticket"
        yield sockets
    finally:
        workspace.socket_url = None
        for socket in list(sockets.connected):
            await socket.close()
        await runner.cleanup()
