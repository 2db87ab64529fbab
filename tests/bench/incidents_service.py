"""Kafka, a PostgreSQL that writes to disk, and the incidents service as one process, for benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from sentryml_local.stack import Options, Stack
from tests.support.eventually import eventually
from tests.support.ports import free_port, free_port_base


class Incidents:
    """Where the servers are, and the service when it runs."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        environment = stack.environment()
        self.kafka, self.postgres = environment["SENTRYML_KAFKA_BOOTSTRAP"], environment["SENTRYML_POSTGRES_URL"]
        self.url, self._log = "", folder / "incidents.log"

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the service; `url` is its address meanwhile."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = {"HTTP_PORT": str(port), "KAFKA_BOOTSTRAP": self.kafka, "POSTGRES_URL": self.postgres}
        environment = os.environ | {f"SENTRYML_{name}": value for name, value in settings.items()}
        with self._log.open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "sentryml_incidents"], env=environment, stderr=log)
        try:
            yield process
            if process.poll() is not None:
                raise RuntimeError(f"the service has ended:\n{self._log.read_text()[-2000:]}")
        finally:
            process.terminate()
            process.wait(timeout=60)

    async def ready(self, client: httpx.AsyncClient) -> None:
        """Wait until it is."""

        async def answers() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, what="the service to be ready")

    def make_key(self) -> str:
        """A key that may do everything."""
        command = [sys.executable, "-m", "sentryml_incidents.admin", "create-api-key", "--name", "bench", "--scope", "admin"]  # fmt: skip # noqa: E501
        environment = os.environ | {"SENTRYML_POSTGRES_URL": self.postgres}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def incidents_service() -> Iterator[Incidents]:
    """Start the servers; the service itself is started by who measures."""
    with TemporaryDirectory(prefix="sentryml-bench-") as folder:
        stack = Stack(Path(folder) / "stack", Options(port_base=free_port_base(), only=("kafka", "postgres")))
        try:
            stack.up()
            yield Incidents(stack, Path(folder))
        finally:
            stack.down()
