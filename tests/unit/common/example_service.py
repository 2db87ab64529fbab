"""A service for the tests of the runner: `python example_service.py <behaviour>`, a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request

from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.service import Service, run
from sentryml_common.settings import PostgresSettings, ServiceSettings, load_settings_or_exit

log = get_logger(__name__)
health = Health()
app = FastAPI()
opened: set[str] = set()
atexit.register(sys.stderr.write, "modules are taken apart")


class ExampleSettings(ServiceSettings, PostgresSettings):
    """With a secret."""


@app.get("/slow")
async def slow() -> dict[str, bool]:
    """Answers after SIGUSR1; says whether what the work has opened was still open then."""
    released = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, released.set)
    log.info("slow_request_began")
    await released.wait()
    return {"resource_open": "resource" in opened}


@app.get("/stubborn")
async def stubborn() -> None:
    """Answers never, and is not to be cancelled."""
    log.info("stubborn_request_began")
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@app.post("/length")
async def length(request: Request) -> int:
    """How long the body is."""
    return len(await request.body())


@app.get("/client")
async def client(request: Request) -> str:
    """Where the request comes from."""
    return request.client.host if request.client else ""


@asynccontextmanager
async def opening(name: str) -> AsyncIterator[None]:
    opened.add(name)
    log.info("opened", what=name)
    try:
        yield
    finally:
        opened.discard(name)
        log.info("closed", what=name)


async def works() -> None:
    async with opening("pool"), opening("resource"):
        health.ready("start")
        await asyncio.Event().wait()


async def starts_slowly() -> None:
    health.waiting("kafka", "k:9092 does not answer")
    await asyncio.Event().wait()


async def fails() -> None:
    secret = "hunter2"
    async with opening("pool"):
        raise RuntimeError(f"no luck after {len(secret)} attempts")


async def fails_in_a_task() -> None:
    async with opening("pool"), asyncio.TaskGroup() as tasks:
        tasks.create_task(fails())
        await asyncio.Event().wait()


async def ends() -> None:
    health.ready("start")


async def is_misconfigured() -> None:
    raise ConfigurationError("the topic sentryml.x.v1 is missing: create it")


async def is_misconfigured_in_a_task() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(is_misconfigured())


async def will_not_stop() -> None:
    health.ready("start")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.info("cancellation_ignored")


async def leaves_a_thread() -> None:
    health.ready("start")
    await asyncio.to_thread(threading.Event().wait)


async def fails_to_stop() -> None:
    try:
        await works()
    finally:
        raise RuntimeError("could not flush")


if __name__ == "__main__":
    work = globals()[sys.argv[1]]
    run(Service("example", load_settings_or_exit(ExampleSettings), app, health, work))
