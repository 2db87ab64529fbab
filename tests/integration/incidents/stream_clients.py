"""Real HTTP servers in the test's own loop, and clients that follow their stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from sentryml_common.postgres.pool import Pool
from sentryml_incidents.streaming.hub import Hub
from tests.support.applications import served
from tests.support.eventually import eventually
from tests.support.http_client import http_client


@asynccontextmanager
async def serving(app: FastAPI, before_stop: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
    """The address of a server of `app`."""
    async with served(app, lifespan=False, before_stop=before_stop) as authority:
        yield f"http://{authority}"


@asynccontextmanager
async def at_work(hub: Hub, pool: Pool) -> AsyncIterator[None]:
    """A hub that publishes, from when it has begun to."""
    running = asyncio.create_task(hub.run(pool))

    async def begun() -> bool:
        return hub.position is not None

    await eventually(begun, what="the stream to begin")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


@dataclass
class Follower:
    """A client of the stream. What it has got: events as (kind, id, data), and the last id."""

    url: str
    headers: dict[str, str]
    last_id: str | None = None
    events: list[tuple[str, str | None, Any]] = field(default_factory=list)
    greeted: bool = False
    task: asyncio.Task[None] | None = None

    async def start(self, **params: Any) -> Follower:
        """Follow from after the last id, in the background; return once the server has greeted."""
        self.greeted = False
        self.task = asyncio.create_task(self._follow(params))

        async def greeted() -> bool:
            assert self.task is not None
            if self.task.done():
                self.task.result()
            return self.greeted

        await eventually(greeted, what="the stream's greeting")
        return self

    async def try_start(self) -> bool:
        """The same; False if the server refuses."""
        try:
            await self.start()
        except AssertionError:
            return False
        return True

    async def stop(self) -> None:
        """Hang up."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def ended(self) -> None:
        """Wait until the server has ended the stream."""
        assert self.task is not None
        async with asyncio.timeout(60):
            await self.task

    async def until(self, count: int, kind: str = "transition") -> list[Any]:
        """The data of the events of a kind, once there are `count`."""

        async def enough() -> bool:
            return len(self.of(kind)) >= count

        await eventually(enough, what=f"{count} × {kind}")
        return self.of(kind)

    def of(self, kind: str) -> list[Any]:
        """The data of the events of a kind."""
        return [data for found, _, data in self.events if found == kind]

    async def _follow(self, params: dict[str, Any]) -> None:
        headers = self.headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        async with (
            http_client(self.url, headers=headers, timeout=None) as client,
            client.stream("GET", "/v1/stream", params=params) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            await self._read(answer)

    async def _read(self, answer: httpx.Response) -> None:
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                block[name] = value
                continue
            if "data" in block:
                self.events.append((block["event"], block.get("id"), orjson.loads(block["data"])))
            self.last_id = block.get("id", self.last_id)
            self.greeted, block = True, {}
