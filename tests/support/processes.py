"""Services as processes of their own, forked from one that has imported them all.

Nearly all CPU of a start goes into imports, and tests start some two hundred. What is imported runs as `python -m`
runs it. Stacks (`e2e`, `browser`) start services as users do.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping
from multiprocessing.connection import wait
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

SERVICES = ("sentryml_drift", "sentryml_incidents", "sentryml_ingest", "sentryml_notifier")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([f"{service}.app" for service in SERVICES])
_LOCK = threading.Lock()
"""multiprocessing reads the exit code of a process once, in whichever thread asks first."""


class Process:
    """A running `python -m <command>`, with the methods of `subprocess.Popen` that tests use. What it says goes to
    `log`. Its environment is ours with `environment` over it."""

    def __init__(self, *command: str, environment: Mapping[str, str], log: Path, folder: Path | None = None) -> None:
        log.write_bytes(b"")  # a test may look into it before the process has begun
        arguments = command, {**os.environ, **environment}, log, folder or Path.cwd()
        self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
        with _LOCK:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        with _LOCK:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not, within that number of seconds.
        """
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0.0)
        return code

    def send_signal(self, signum: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _run(command: tuple[str, ...], environment: dict[str, str], log: Path, folder: Path) -> None:
    """What the forked process does."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(command)
    if command[0] in SERVICES:
        _leave_out_metrics({*SERVICES} - {command[0]})
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def _leave_out_metrics(services: Collection[str]) -> None:
    """A service exports none of the others'."""
    for service in services:
        for metric in vars(sys.modules[f"{service}.metrics"]).values():
            if isinstance(metric, MetricWrapperBase):
                REGISTRY.unregister(metric)
