"""An HTTP server that answers as a test wants, down to the bytes: also as no honest one would."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """A request: its first line, its headers by name in lower case, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Where it listens, what it got, and what it answers next; the last answer is given for ever."""

    host: str
    port: int
    answers: list[Answer]
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    tls_names: list[str | None] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    async def requests(self) -> list[Received]:
        """What it got so far, for those who wait."""
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                self.received.append(await read_request(reader))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await answer(writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> Received:
    """One request, with its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(head[0], headers, body)


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer; `retry_after="7"` is the header `retry-after: 7`."""

    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return write


async def drip(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends, a byte at a time: each comes soon enough for a time-out between two of them."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """No answer: the connection is torn down."""
    writer.transport.abort()


async def hang(_: asyncio.StreamWriter) -> None:
    """No answer, and the connection stays."""
    await asyncio.Event().wait()


@asynccontextmanager
async def http_server(
    *answers: Answer, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpServer]:
    """Serve until the end of the block; the last of `answers` (default: 200) is given for ever."""
    server = HttpServer(host, port, list(answers) or [answer(200, b"ok")])
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: server.tls_names.append(name)
    listener = await asyncio.start_server(accept, host, port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next turn
