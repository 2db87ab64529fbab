"""`make test-model-servers`: the examples of docs/model-servers.md in their servers, against a real ingest and Kafka.

No file of `make test`, since the servers are heavy: Ray alone starts twenty processes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from tests.integration.ingest.conftest import Ingest, make_key, records_of, starting
from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ROOT / ".venv-model-servers" / "bin"
EXAMPLE = re.compile(r"^## ([^\n]+)\n.*?^```python\n(.*?)^```\n+```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = {title: (code, command) for title, code, command in EXAMPLE.findall(
    (ROOT / "docs" / "model-servers.md").read_text())}  # fmt: skip
ADDRESSES = {"Ray Serve": "http://127.0.0.1:8000/", "BentoML": "http://127.0.0.1:3000/score"}
STARTS_WITHIN = STOPS_WITHIN = 300


@pytest.fixture(scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> AsyncIterator[Ingest]:
    """A running ingest."""
    with starting(tmp_path_factory.mktemp("ingest")) as start:
        running = start(kafka_bootstrap=kafka_bootstrap)
        await running.until_ready()
        yield running


def test_every_example_is_run() -> None:
    assert set(EXAMPLES) == set(ADDRESSES)


@pytest.mark.parametrize("server", ADDRESSES)
async def test_predictions_of_the_server_are_in_the_topic_the_last_one_too(
    server: str, ingest: Ingest, kafka_bootstrap: str, tmp_path: Path
) -> None:
    model_id = f"fraud-{token_hex(6)}"
    code, command = EXAMPLES[server]
    (tmp_path / "fraud.py").write_text(code.replace('"fraud", prediction', f'"{model_id}", prediction'))
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)

    async def predictions() -> list[str]:
        found = [event for _, events in await records_of(kafka_bootstrap, model_id) for event in events]
        return sorted(event["prediction"] for event in found)

    with serving(command, tmp_path, ingest.url, key) as process:
        await eventually(lambda: asked(process, server, 5_000), what="the server to answer", within=STARTS_WITHIN)
        await eventually(predictions, what="its first prediction")
        assert await asked(process, server, 7)
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait, STOPS_WITHIN)
        assert await predictions() == ["fraud", "legit"], (tmp_path / "log").read_text()[-2_000:]


@contextmanager
def serving(command: str, folder: Path, url: str, key: str) -> Iterator[subprocess.Popen[Any]]:
    """The server as a user starts it, in a process group that is killed at the end."""
    environment = {
        "PATH": f"{SERVERS}:{os.environ['PATH']}", "HOME": str(folder), "SENTRYML_URL": url, "SENTRYML_API_KEY": key,
        "RAY_USAGE_STATS_ENABLED": "0", "BENTOML_DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT / "libs" / "client"),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        started = ["bash", "-c", f"exec {command}"]
        process = subprocess.Popen(
            started, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def asked(process: subprocess.Popen[Any], server: str, amount: int) -> bool:
    """Whether the server predicts; it may not listen yet, or not have started its model."""
    assert process.poll() is None, "the server has ended"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        try:
            answer = await client.post(ADDRESSES[server], json={"amount": amount})
        except httpx.TransportError:
            return False
    return answer.status_code == 200
