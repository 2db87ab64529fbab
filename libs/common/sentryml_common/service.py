"""Running a service: HTTP first, then its work; on SIGTERM the same in the opposite order, within a deadline.

The HTTP server is up from the first moment, so `/livez` and `/readyz` say what a slow start waits for. The
service's work is one coroutine, which opens what it needs in `async with` blocks and runs until it is
cancelled: leaving the blocks is the ordered stop.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI

from sentryml_common.errors import EXIT_CONFIGURATION, ConfigurationError, leave
from sentryml_common.health import Health
from sentryml_common.http.connections import Endpoint, protocol_with_limits
from sentryml_common.http.health import health_routes
from sentryml_common.http.listener import listen
from sentryml_common.http.problems import install_problems
from sentryml_common.logging import configure_logging, get_logger
from sentryml_common.processes import inherited_socket, listens_when_ready, stop_with_parent
from sentryml_common.settings import ServiceSettings

log = get_logger(__name__)

EXIT_FAILED = 70
CANCELLING_PART = 0.1
"""The part of the time to stop in which cancelled requests may clean up behind them."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its name, settings, HTTP application and health, and its work.

    `before_stop` is called first when it stops: it ends streaming answers. `loop_factory` makes its event loop: uvloop
    takes a third less CPU where requests are many. `endpoint` answers before the HTTP application does.
    """

    name: str
    settings: ServiceSettings
    http: FastAPI
    health: Health
    work: Callable[[], Coroutine[Any, Any, None]]
    before_stop: Callable[[], None] = lambda: None
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    endpoint: Endpoint | None = None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: `run` orders the stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def run(service: Service) -> NoReturn:
    """Run until SIGTERM or SIGINT, or until the work ends by an error; then leave the process."""
    configure_logging(service.name, service.settings)
    install_problems(service.http)
    service.http.include_router(health_routes(service.health))
    gc.freeze()  # what is there now stays: to look at it in each full collection takes 30 ms
    # The loop is left as it is, not closed: closing it waits for every thread, and some do not end.
    runner = asyncio.Runner(loop_factory=service.loop_factory)
    leave(runner.run(_run(service)))


async def _run(service: Service) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    settings = service.settings
    log.info("service_starting", service=service.name, **settings.model_dump(mode="json"))
    listener = inherited_socket()
    if listener is not None:
        stop_with_parent(stop)
    else:
        try:
            listener = listen(settings)
        except ConfigurationError as err:
            log.error("invalid_configuration", service=service.name, why=str(err))
            return EXIT_CONFIGURATION
    server = _Server(_config(service))
    http = asyncio.create_task(_serve(server, listener, service.health), name="http")
    work = asyncio.create_task(service.work(), name="work")
    stopped = asyncio.create_task(stop.wait(), name="signal")
    await asyncio.wait({http, work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    code = _outcome(service, http, work)
    service.before_stop()
    stopping = asyncio.create_task(_stop(server, http, work, settings.shutdown_seconds), name="stop")
    await asyncio.wait({stopping}, timeout=settings.shutdown_seconds)
    if not stopping.done():
        unfinished = [_where(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
        log.error("stop_took_too_long", service=service.name, seconds=settings.shutdown_seconds, unfinished=unfinished)
        # Not a return: what does not end for us would not end for the event loop either.
        leave(EXIT_FAILED)
    failed = stopping.result()
    if code == 0 and failed is not None:
        log.error("stop_failed", service=service.name, exc_info=failed)
        code = EXIT_FAILED
    log.info("service_stopped", service=service.name, code=code)
    return code


def _where(task: asyncio.Task[Any]) -> str:
    """What a task waits for: its name, and its coroutines with their lines, the innermost last."""
    places: list[str] = []
    awaited: object = task.get_coro()
    while isinstance(awaited, CoroutineType):
        if awaited.cr_frame is not None:
            places.append(f"{awaited.__qualname__}:{awaited.cr_frame.f_lineno}")
        awaited = awaited.cr_await
    return f"{task.get_name()}: {' > '.join(places)}"


def _config(service: Service) -> uvicorn.Config:
    settings = service.settings
    return uvicorn.Config(
        service.http,
        http=protocol_with_limits(
            headers_seconds=settings.http_headers_seconds,
            body_seconds=settings.http_body_seconds,
            endpoint=service.endpoint,
        ),
        log_config=None,
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies,
        # uvicorn says int, and takes any number. After it, requests that are still open are cancelled.
        timeout_graceful_shutdown=settings.shutdown_seconds / 2,  # type: ignore[arg-type]
    )


async def _serve(server: _Server, listener: socket.socket, health: Health) -> None:
    if listens_when_ready():
        await health.until_ready()
    await server.serve([listener])


def _outcome(service: Service, http: asyncio.Task[None], work: asyncio.Task[None]) -> int:
    """The exit code: 0 for a signal, else it says why the service cannot go on."""
    for task in (work, http):
        if not task.done():
            continue
        error = task.exception()
        wrong = _configuration_error(error)
        if wrong is not None:
            log.error("invalid_configuration", service=service.name, why=str(wrong))
            return EXIT_CONFIGURATION
        log.error("service_failed", service=service.name, part=task.get_name(), exc_info=error)
        return EXIT_FAILED
    return 0


def _configuration_error(error: BaseException | None) -> ConfigurationError | None:
    """The configuration error that an error is, or that a group of tasks has failed with."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for found in map(_configuration_error, error.exceptions) if found is not None), None)
    return error if isinstance(error, ConfigurationError) else None


async def _stop(
    server: uvicorn.Server, http: asyncio.Task[None], work: asyncio.Task[None], seconds: float
) -> BaseException | None:
    """HTTP first, so that requests in flight still have all they need; then the work. Returns why that failed.

    Requests that do not end in half of the time are cancelled, so that the work has the rest to end in order.
    """
    server.should_exit = True
    if not server.started:
        http.cancel()
    await asyncio.gather(http, return_exceptions=True)
    if server.server_state.tasks:
        await asyncio.wait(set(server.server_state.tasks), timeout=seconds * CANCELLING_PART)
    work.cancel()
    await asyncio.wait({work})
    return None if work.cancelled() else work.exception()
