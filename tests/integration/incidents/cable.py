"""A TCP connection to a server that can be cut and plugged in again."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from tests.support.ports import free_port


class Cable:
    """Carries bytes between its own port and the server of `url` while it is plugged in."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._server_port, self._port = parts.hostname or "", parts.port or 0, free_port()
        self.url = parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{self._port}").geturl()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def plug(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Drop every connection, and take no more."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(self._host, self._server_port)
        self._open |= {writer, here}
        await asyncio.gather(self._pump(reader, here), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
