"""A TCP proxy that tests put before a server: it is closed at first, and can be opened, hung and cut."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from tests.support.ports import free_port

BLOCK = 65_536


class Proxy:
    """Carries bytes between `url`, an address with a port of its own, and the server that it was made for."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._host, self._server_port, self.port = parts.hostname or "", parts.port or 0, free_port()
        self.url = parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{self.port}").geturl()
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()

    async def open(self) -> None:
        """Take connections, and carry bytes."""
        self._flows.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def hang(self) -> None:
        """Keep connections and take new ones, but carry nothing until it is opened again."""
        self._flows.clear()

    async def cut(self) -> None:
        """Drop every connection and refuse new ones, until it is opened again."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in self._writers:
            writer.transport.abort()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self._writers.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, here = await asyncio.open_connection(self._host, self._server_port)
            self._writers.add(here)
            try:
                await asyncio.gather(self._pump(reader, here), self._pump(there, writer))
            finally:
                self._close(here)
        finally:
            self._close(writer)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(BLOCK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
