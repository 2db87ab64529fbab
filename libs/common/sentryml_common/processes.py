"""Several processes of one service behind one port: a parent opens the port, starts them, and restarts those that end.

They inherit the listening socket, so each new connection is taken by one that has time, and the end of one of them
refuses none. Their metrics are files in a folder of the parent's, which each of them adds up (the multiprocess mode of
prometheus_client). The input of a process is a pipe from its parent: when that ends, however it does, so do they.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import NoReturn

from prometheus_client.multiprocess import mark_process_dead

from sentryml_common.errors import EXIT_CONFIGURATION, ConfigurationError, leave
from sentryml_common.http.listener import listen
from sentryml_common.logging import configure_logging, get_logger
from sentryml_common.metrics import METRICS_FOLDER
from sentryml_common.settings import ServiceSettings
from sentryml_common.waiting import happened

log = get_logger(__name__)

SOCKET, WHEN_READY = "SENTRYML_INHERITED_SOCKET", "SENTRYML_LISTEN_WHEN_READY"
"""Set by the parent for its processes: the descriptor of their socket, and whether they leave it to others until they
are ready. Only the first one that is started does not: somebody has to say what is waited for."""
RESTART_SECONDS = 1.0


def inherited_socket() -> socket.socket | None:
    """The socket that the parent has opened; None where there is no parent."""
    return socket.socket(fileno=int(os.environ[SOCKET])) if is_one_of_several() else None


def is_one_of_several() -> bool:
    """Whether this process has been started by a parent."""
    return SOCKET in os.environ


def listens_when_ready() -> bool:
    """Whether this process leaves the port to others until it is ready."""
    return WHEN_READY in os.environ


def stop_with_parent(stop: asyncio.Event) -> None:
    """Set `stop` when the parent has ended."""
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)


def run_several(service: str, settings: ServiceSettings, count: int) -> NoReturn:
    """Run this many processes of `python -m <service>` until a signal; then leave the process."""
    configure_logging(service, settings)
    log.info("processes_starting", service=service, processes=count)
    try:
        listener = listen(settings)
    except ConfigurationError as err:
        log.error("invalid_configuration", service=service, why=str(err))
        leave(EXIT_CONFIGURATION)
    with TemporaryDirectory(prefix="sentryml-metrics-") as folder:
        several = _Several(["-m", service], settings.shutdown_seconds, listener, folder)
        code = asyncio.run(several.run(count))
    log.info("processes_stopped", service=service, code=code)
    leave(code)


class _Several:
    def __init__(self, command: Sequence[str], seconds: float, listener: socket.socket, folder: str) -> None:
        self._command, self._seconds, self._listener, self._folder = command, seconds, listener, folder
        self._stop = asyncio.Event()
        self._code = 0

    async def run(self, count: int) -> int:
        """Keep them running until a signal, or until one says that the configuration is wrong; their exit code."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop.set)
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(self._keep_running(number))
        return self._code

    async def _keep_running(self, number: int) -> None:
        first = number == 0
        while not self._stop.is_set():
            process = await self._start(first)
            first = False
            code = await self._until_it_ends(process)
            mark_process_dead(process.pid, self._folder)  # type: ignore[no-untyped-call]
            if self._stop.is_set() or code == EXIT_CONFIGURATION:
                self._code = self._code or code
                self._stop.set()
            else:
                log.error("process_ended", number=number, pid=process.pid, code=code, restarts_in=RESTART_SECONDS)
                await happened(self._stop, RESTART_SECONDS)

    async def _start(self, first: bool) -> Process:
        own = {SOCKET: str(self._listener.fileno()), METRICS_FOLDER: self._folder} | (
            {} if first else {WHEN_READY: "1"}
        )
        return await asyncio.create_subprocess_exec(
            sys.executable, *self._command,
            stdin=PIPE, pass_fds=[self._listener.fileno()], env={**os.environ, **own},
        )  # fmt: skip

    async def _until_it_ends(self, process: Process) -> int:
        """Its exit code. It ends by itself, or orderly with the parent; what takes longer than it may is killed."""
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            process.send_signal(signal.SIGTERM)
            await asyncio.wait({ended}, timeout=self._seconds + RESTART_SECONDS)
        if not ended.done():
            log.error("process_killed", pid=process.pid, seconds=self._seconds)
            process.kill()
        return await ended
