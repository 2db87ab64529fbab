"""The workers under fire: combiners, processors and an ingest as processes, each started again when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.ports import free_port

SESSION_SECONDS = 6.0  # the least that Kafka takes
RESTART_PAUSE_SECONDS = 0.2


@dataclass(slots=True)
class Worker:
    """One process; `starts` counts how often it was started."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False
    exits: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start it, in a process group of its own, so that Ctrl-C reaches us alone."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=os.environ | self.environment, stdout=output, stderr=output, start_new_session=True
            )
        self.starts += 1

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.environment['SENTRYML_HTTP_PORT']}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.alive:
            self.process.send_signal(signum)

    async def keep_alive(self) -> None:
        """Start it again whenever it has ended, until cancelled."""
        while True:
            if not self.alive:
                if self.process is not None:
                    self.exits.append(self.process.returncode)
                self.start()
            await asyncio.sleep(RESTART_PAUSE_SECONDS)

    async def freeze(self, seconds: float) -> None:
        """Stop it in the middle of whatever it does, and let it go on after `seconds`."""
        self.send(signal.SIGSTOP)
        self.frozen = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self.send(signal.SIGCONT)
            self.frozen = False

    async def end(self, signum: signal.Signals) -> None:
        """End it with a signal and see it started again."""
        before = self.starts
        self.send(signum)

        async def again() -> bool:
            return self.starts > before and self.alive

        await eventually(again, what=f"{self.name} to be started again")

    def kill(self) -> None:
        """End it for good."""
        if self.process is not None:
            self.send(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


def workers_of(folder: Path, bootstrap: str, fine_seconds: float, store: str, dwell_seconds: float) -> list[Worker]:
    """Two combiners, two processors and an ingest."""
    common = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "FINE_PANE_SECONDS": fine_seconds,
        "EMIT_SECONDS": 0.3,
        "BATCH_SECONDS": 0.5,
        "SESSION_TIMEOUT_SECONDS": SESSION_SECONDS,
        "STORE": store,
    }
    processor = ["tests.support.slow_commits", str(dwell_seconds)] if dwell_seconds else ["sentryml_drift", "processor"]
    commands = {"combiner": ["sentryml_drift", "combiner"], "processor": processor}
    named = {f"{part}-{number}": command for part, command in commands.items() for number in (1, 2)}
    found = []
    for name, command in {**named, "ingest": ["sentryml_ingest"]}.items():
        settings = common | {"HTTP_PORT": free_port(), "STATE_DIR": folder / name}
        environment = {f"SENTRYML_{key}": str(value) for key, value in settings.items()}
        found.append(Worker(name, [sys.executable, "-m", *command], environment, folder / f"{name}.log"))
    return found
