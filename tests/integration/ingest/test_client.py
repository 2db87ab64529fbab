"""The Python client, the command and every snippet of docs/sending.md, against a real ingest and a real Kafka."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sentryml import Client, Stats
from sentryml_common.contracts.dead_letter import SENDER_HEADER
from sentryml_common.contracts.prediction import REQUEST_ID_BYTES, REQUEST_ID_HEADER, read_rows
from tests.integration.ingest.conftest import Ingest, all_records, records_of, starting
from tests.support.eventually import eventually
from tests.support.ingest_stand_in import Reply, stand_in

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "sentryml.command"]


@pytest.fixture(scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str, key: str) -> AsyncIterator[Ingest]:
    """An ingest that knows `key`."""
    with starting(tmp_path_factory.mktemp("ingest")) as start:
        running = start(kafka_bootstrap=kafka_bootstrap)
        await running.until_ready()

        async def known() -> bool:
            return (await running.send(key, [])).status_code == 422

        await eventually(known, what="the key to be known")
        yield running


@pytest.fixture
def incidents_url() -> Iterator[str]:
    """A stand-in for the API of incidents, with no model and no incident."""
    with stand_in() as state:
        state.answering = lambda _: Reply(200, {"items": [], "next_cursor": None})
        yield state.url


@pytest.fixture
def environment(ingest: Ingest, key: str, kafka_bootstrap: str, incidents_url: str) -> dict[str, str]:
    """What `sentryml-local env` sets."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SENTRYML_INGEST_URL": ingest.url,
        "SENTRYML_EVENTS_KEY": key,
        "SENTRYML_INCIDENTS_URL": incidents_url,
        "SENTRYML_ADMIN_KEY": key,
        "SENTRYML_KAFKA_BOOTSTRAP": kafka_bootstrap,
    }


async def events_of(kafka_bootstrap: str, model_id: str) -> list[dict[str, Any]]:
    return [event for _, events in await records_of(kafka_bootstrap, model_id) for event in events]


async def shown_on_the_page(kafka_bootstrap: str) -> int:
    """How many events there are like those of the page. Other tests send the examples of the API meanwhile, whose
    predictions are numbers."""
    events = await events_of(kafka_bootstrap, '"fraud"')
    return sum(event["model_id"] == "fraud" and isinstance(event["prediction"], str | bool) for event in events)


async def test_what_the_client_counts_as_sent_is_in_the_topic(
    ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str
) -> None:
    client = Client(ingest.url, key)
    for number in range(2_500):
        client.log(model_id, number, score=0.5, version="2.3")
    client.log(model_id, "too old", timestamp=time.time() - 40 * 86_400)
    client.log(model_id, "x" * 129)
    client.log("no model id", 1)
    assert await asyncio.to_thread(client.close, 60)
    assert client.stats() == Stats(waiting=0, sent=2_500, dropped=0, refused=3, retries=0)
    found = await events_of(kafka_bootstrap, model_id)
    assert sorted(event["prediction"] for event in found) == list(range(2_500))
    assert {event["version"] for event in found} == {"2.3"}


async def test_what_the_client_writes_to_kafka_itself_is_what_drift_reads(
    ingest: Ingest, kafka_bootstrap: str, model_id: str
) -> None:
    client = Client(transport="kafka", bootstrap=kafka_bootstrap, sender="scoring")
    for number in range(2_500):
        client.log(model_id, number, score=0.5, version="2.3")
    client.log(model_id, "x" * 129)  # in the same record it would make all others unreadable
    assert await asyncio.to_thread(client.close, 60)
    assert client.stats() == Stats(waiting=0, sent=2_500, dropped=0, refused=1, retries=0)
    records = [each for each in await all_records(kafka_bootstrap) if model_id.encode() in each.value]
    rows = [row for record in records for row in read_rows(record.value)]
    assert sorted(row.prediction for row in rows) == list(range(2_500))
    assert len(records) < 100, "an array of events a record"
    for record in records:
        headers = dict(record.headers)
        assert headers[SENDER_HEADER] == b"scoring"
        assert (record.key, len(record.key)) == (headers[REQUEST_ID_HEADER], REQUEST_ID_BYTES)


async def test_a_file_is_in_the_topic_but_for_what_is_too_old(
    environment: dict[str, str], kafka_bootstrap: str, model_id: str, tmp_path: Path
) -> None:
    now = time.time()
    times = [now - (3_000 - number) * 600 for number in range(3_000)]  # of 20 days
    path = tmp_path / "history.csv"
    path.write_text("ts,predicted_value\n" + "".join(f"{at},{number}\n" for number, at in enumerate(times)))
    arguments = ["send", str(path), "--model", model_id]
    code, said = await run(COMMAND + arguments, environment)
    assert (code, "are older than 8 days" in said) == (1, True), said
    code, said = await run([*COMMAND, *arguments, "--skip-too-old"], environment)
    assert code == 0, said
    found = sorted(event["prediction"] for event in await events_of(kafka_bootstrap, model_id))
    assert found == list(range(int(found[0]), 3_000))
    assert abs(len(found) - 8 * 144) <= 2


async def run(command: list[str], environment: dict[str, str], cwd: Path = ROOT) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


SNIPPETS = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_of_the_readme() -> list[str]:
    section = (ROOT / "README.md").read_text().partition("\n## Use it\n")[2]
    return [code for language, code in SNIPPETS.findall(section) if language == "python" and "await" not in code]


async def test_every_snippet_of_the_page_on_sending_does_what_it_says(
    environment: dict[str, str], kafka_bootstrap: str, tmp_path: Path
) -> None:
    """One after another, as one who reads the page would; each one of Python in a process of its own."""
    recent = time.time() - 3_600
    rows = "".join(f"{recent + number},legit,0.25\n" for number in range(50))
    (tmp_path / "predictions.csv").write_text(f"ts,predicted_label,probability\n{rows}")
    snippets = SNIPPETS.findall((ROOT / "docs/sending.md").read_text())
    assert len(snippets) > 10
    before = await shown_on_the_page(kafka_bootstrap)
    environment = {**environment, "SENTRYML_URL": environment["SENTRYML_INGEST_URL"]}
    environment["SENTRYML_API_KEY"] = environment["SENTRYML_EVENTS_KEY"]
    for language, code in [*snippets, *(("python", code) for code in python_of_the_readme())]:
        command = ["bash", "-euc", code] if language == "sh" else [sys.executable, "-W", "error", "-c", code]
        exit_code, said = await run(command, environment, tmp_path)
        assert exit_code == 0, f"{code}\n{said}"
        assert not re.search(r"refused predictions|dropped|Traceback", said.replace("dropped=0", "")), said
    # curl 1 + 2 + 1, log 1, stats 3, asyncio 1, watch 2, file 50, Kafka 1 + 100, README 1
    assert await shown_on_the_page(kafka_bootstrap) - before == 163
