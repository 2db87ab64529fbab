"""How an exchange can end: with an answer, a reset, or in the middle of an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from sentryml_local.slack_stand_in.store import Ending, Script

CUT_CONTENT_BYTES = 1024


async def play(script: Script, request: Request) -> Response:
    """End an exchange as it is scripted."""
    await asyncio.sleep(script.delay_seconds)
    if script.ending is Ending.RESET:
        _reset(request)
    if script.ending is Ending.CUT:
        return _cut(request, script)
    return PlainTextResponse(script.body, script.status, dict(script.headers))


def _transport(request: Request) -> asyncio.Transport:
    """The connection under a request: uvicorn's cycle, which `receive` is a method of, holds it."""
    transport: asyncio.Transport = request.receive.__self__.transport  # type: ignore[attr-defined]
    return transport


def _reset(request: Request) -> None:
    transport = _transport(request)
    # Lingering for zero seconds turns the close into a reset.
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _cut(request: Request, script: Script) -> Response:
    """Promise more bytes than are sent, and close the connection in the middle of the answer."""

    async def content() -> AsyncIterator[bytes]:
        yield script.body.encode()
        _transport(request).close()
        await request.receive()  # returns when the connection is gone

    headers = {**script.headers, "Content-Length": str(CUT_CONTENT_BYTES)}
    return StreamingResponse(content(), script.status, headers, media_type="text/plain")
