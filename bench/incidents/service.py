"""Kafka, a PostgreSQL that writes to disk, the incidents service as one process, and a notifier, for benchmarks."""

from __future__ import annotations

import os
import secrets
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
    """Where the servers are, and the services when they run."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        environment = stack.environment()
        self.kafka, self.postgres = environment["SENTRYML_KAFKA_BOOTSTRAP"], environment["SENTRYML_POSTGRES_URL"]
        self.url, self.notifier_url, self._folder = "", f"http://127.0.0.1:{free_port()}", folder
        self._common = {
            "SENTRYML_KAFKA_BOOTSTRAP": self.kafka,
            "SENTRYML_POSTGRES_URL": self.postgres,
            "SENTRYML_NOTIFIER_URL": self.notifier_url,
            "SENTRYML_INTERNAL_SECRET": secrets.token_hex(32),
        }

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the service; `url` is its address meanwhile."""
        self.url = f"http://127.0.0.1:{free_port()}"
        with self._process("sentryml_incidents", self.url) as process:
            yield process

    @contextmanager
    def notifying(self) -> Iterator[None]:
        """Run a notifier, at `notifier_url`, whose only channel is a Slack that is away: whatever alerts waits."""
        nobody = f"127.0.0.1:{free_port()}"
        slack = {
            "SENTRYML_SLACK_WEBHOOK_URL": f"http://{nobody}/services/T0/B0/nobody",
            "SENTRYML_ALLOWED_HOSTS": nobody,
        }
        with self._process("sentryml_notifier", self.notifier_url, **slack):
            yield

    @contextmanager
    def _process(self, module: str, url: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = os.environ | self._common | settings | {"SENTRYML_HTTP_PORT": url.rpartition(":")[2]}
        file = self._folder / f"{module}.log"
        with file.open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", module], env=environment, stderr=log)
        try:
            yield process
            if process.poll() is not None:
                raise RuntimeError(f"the service has ended:\n{file.read_text()[-2000:]}")
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
        command = [sys.executable, "-m", "sentryml_incidents.cli.admin", "create-api-key", "--name", "bench", "--scope", "admin"]  # fmt: skip # noqa: E501
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
