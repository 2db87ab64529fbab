"""The service as a process, with real Kafka and PostgreSQL: from an evaluation to the published transition, through
SIGKILL, and with either server away."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, EVALUATIONS, MONITORS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from tests.integration.incidents.stream_clients import Follower
from tests.support.dying_incidents import STEPS
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.http_client import http_client
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.proxy import Proxy
from tests.support.reading import messages_in
from tests.support.signing_in import sign_in
from tests.unit.incidents.builders import an_activity, an_evaluation, at

NOWHERE = "127.0.0.1:1"
PASSWORD = "correct horse battery"
IMPATIENT = ("tests.support.impatient_kafka", "sentryml_incidents")


class Service:
    """The service in a process of its own, and a key that may do everything."""

    def __init__(self, process: Process, url: str, key: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log
        self._headers = {"Authorization": f"Bearer {key}"}

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response | None:
        """Ask; None while it does not listen yet."""
        try:
            async with http_client(self.url, headers=self._headers) as client:
                return await client.request(method, path, timeout=30, **how)
        except httpx.TransportError:
            assert self.process.poll() is None, self.log.read_text()
            return None

    async def answers(self, status: int, path: str, method: str = "GET", **how: Any) -> httpx.Response:
        """Wait until it answers with `status`."""

        async def answered() -> httpx.Response | None:
            answer = await self.ask(method, path, **how)
            return answer if answer is not None and answer.status_code == status else None

        return await eventually(answered, what=f"{status} from {method} {path} ({self.log})")

    async def incidents_of(self, model_id: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/v1/incidents?model={model_id}")
        return list(answer.json()["items"]) if answer is not None and answer.status_code == 200 else []

    async def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return await asyncio.to_thread(self.process.wait, LONG_SECONDS)


def environment(**settings: str) -> dict[str, str]:
    return os.environ | {f"SENTRYML_{name.upper()}": value for name, value in settings.items()}


def make_key(postgres_url: str, folder: Path) -> str:
    """A key that may do everything, made as people make it."""
    log = folder / "admin.log"
    command = "sentryml_incidents.cli.admin", "create-api-key", "--name", "test", "--scope", "admin"
    assert Process(*command, environment=environment(postgres_url=postgres_url), log=log).wait() == 0, log.read_text()
    return next(line for line in log.read_text().splitlines() if line.startswith("sml_"))


OLD = {"evaluation_keep_days": "3660"}


@contextmanager
def running(folder: Path, key: str, *, dies_at: tuple[str, str] | None = None, **settings: str) -> Iterator[Service]:
    """Run it; `dies_at` is a step of tests.support.dying_incidents and a model. Evaluations are of a fixed day, and
    must not get too old to be kept."""
    port, log = free_port(), folder / f"incidents-{len(list(folder.iterdir()))}.log"
    command = ("tests.support.dying_incidents", *dies_at) if dies_at else IMPATIENT
    process = Process(*command, environment=environment(**{"http_port": str(port), **OLD, **settings}), log=log)
    try:
        yield Service(process, f"http://127.0.0.1:{port}", key, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def database_template() -> None:
    """An empty database: the service makes its tables."""


@pytest.fixture
def model_id() -> str:
    """A model of the test's own: the topics, which are the real ones, may hold those of earlier runs."""
    return f"model-{secrets.token_hex(6)}"


@pytest.fixture
async def producer(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    await ensure_topics(KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health())
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await producer.start()
    yield producer
    await producer.stop()


async def evaluate(producer: AIOKafkaProducer, model_id: str, *grades: str, start: float = 0, version: int = 1) -> None:
    for minute, grade in enumerate(grades):
        await send(producer, an_evaluation(grade, at(start + minute), model_id=model_id, version=version))


async def send(producer: AIOKafkaProducer, evaluation: Evaluation) -> None:
    await producer.send_and_wait(EVALUATIONS.name, encode(evaluation), evaluation.model_id.encode())


async def published(kafka_bootstrap: str, model_id: str, count: int) -> list[Transition]:
    """The transitions of a model in Kafka, when there are `count` of them, repetitions left out."""
    consumer = AIOKafkaConsumer(TRANSITIONS.name, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[int, Transition] = {}

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                if record.key == model_id.encode():
                    step = decode(Transition, record.value)
                    found.setdefault(step.sequence, step)
        return len(found) >= count

    try:
        await eventually(all_there, what=f"{count} transitions of {model_id} in Kafka")
    finally:
        await consumer.stop()
    return list(found.values())


async def test_from_an_evaluation_in_kafka_to_the_published_transition(
    kafka_bootstrap: str, database_url: str, producer: AIOKafkaProducer, model_id: str, tmp_path: Path
) -> None:
    """A bad record before it is set aside; the monitor of the new model is published, and so is its change."""
    key = make_key(database_url, tmp_path)
    with running(tmp_path, key, kafka_bootstrap=kafka_bootstrap, postgres_url=database_url) as service:
        await producer.send_and_wait(EVALUATIONS.name, b'{"v":1}', model_id.encode())
        await producer.send_and_wait(ACTIVITY.name, encode(an_activity(model_id)), model_id.encode())
        await service.answers(200, "/readyz")
        await service.answers(200, f"/v1/models/{model_id}")
        await service.answers(200, f"/v1/models/{model_id}/monitor", "PUT", json={"confirm_warn": 1})
        await evaluate(producer, model_id, "warn", "critical", version=2)
        steps = await published(kafka_bootstrap, model_id, 2)
        assert [(step.sequence, step.kind) for step in steps] == [(1, "opened"), (2, "escalated")]
        answer = await service.ask("GET", "/metrics")
        assert answer is not None
        assert 'sentryml_incidents_evaluations_total{outcome="applied"}' in answer.text
        assert 'reason="breaks_contract"' in answer.text
        versions = await versions_of(kafka_bootstrap, model_id)
        assert versions == [1, 2]
        assert await service.stop() == 0
    assert key not in service.log.read_text()


async def versions_of(kafka_bootstrap: str, model_id: str) -> list[int]:
    consumer = AIOKafkaConsumer(MONITORS.name, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[int] = []

    async def two() -> bool:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found.extend(decode(Monitor, each.value).version for each in records if each.key == model_id.encode())
        return len(found) >= 2

    try:
        await eventually(two, what="two versions of the monitor in Kafka")
    finally:
        await consumer.stop()
    return list(dict.fromkeys(found))


async def test_killed_at_each_step_it_loses_and_doubles_nothing(
    kafka_bootstrap: str, database_url: str, producer: AIOKafkaProducer, model_id: str, tmp_path: Path
) -> None:
    """It dies once at each step from evaluation to published transition. What Kafka had got and what was not marked yet
    comes again, once; nothing else does, and nothing is lost, reordered or decided again."""
    key, settings = make_key(database_url, tmp_path), {"kafka_bootstrap": kafka_bootstrap, "postgres_url": database_url}
    for number, step in enumerate(STEPS):
        # Two steps of the timeline each time: opened or escalated, then deescalated.
        await evaluate(producer, model_id, "critical", "warn", "warn", "warn", start=4 * number)
        with running(tmp_path, key, dies_at=(step, model_id), **settings) as service:
            assert await asyncio.to_thread(service.process.wait, LONG_SECONDS) == -signal.SIGKILL, (
                service.log.read_text()
            )
    with running(tmp_path, key, dies_at=("never", model_id), **settings) as service:
        count = 2 * len(STEPS)
        steps = await published(kafka_bootstrap, model_id, count)
        assert [step.kind for step in steps] == ["opened", *["deescalated", "escalated"] * (count // 2)][:count]
        await service.answers(200, "/readyz")
        (incident,) = await service.incidents_of(model_id)
        assert (incident["sequence"], incident["state"], incident["severity"]) == (count, "open", "warn")
    sequences = await sequences_in_kafka(kafka_bootstrap, model_id)
    assert list(dict.fromkeys(sequences)) == list(range(1, count + 1))
    repeats = [after for before, after in pairwise(sequences) if after != before + 1]
    assert len(repeats) == 1, "only what was published and not marked comes again"
    assert all(after.from_ == before.to for before, after in pairwise(steps)), "each step starts where the last led"


async def sequences_in_kafka(kafka_bootstrap: str, model_id: str) -> list[int]:
    """The sequences of a model's transitions as they lie in Kafka now."""
    return [step.sequence for step in await messages_in(kafka_bootstrap, TRANSITIONS, Transition, model_id)]


async def test_without_kafka_api_and_pages_work_and_readiness_says_what_is_missing(
    database_url: str, tmp_path: Path
) -> None:
    key = make_key(database_url, tmp_path)
    ana = {"first_admin_email": "ana@example.org", "first_admin_password": PASSWORD}
    with running(tmp_path, key, kafka_bootstrap=NOWHERE, postgres_url=database_url, **ana) as service:
        assert (await service.answers(200, "/v1/incidents")).json()["items"] == []
        by_proxy = {"X-Forwarded-For": "203.0.113.9"}
        async with http_client(service.url, timeout=30, headers=by_proxy) as browser:
            assert (await sign_in(browser, "ana@example.org", PASSWORD)).status_code == 303
            assert (await browser.get("/incidents")).status_code == 200
            assert "203.0.113.9" in (await browser.get("/account")).text
        assert PASSWORD not in service.log.read_text()
        waiting = (await service.answers(503, "/readyz")).json()["waiting_for"]
        assert f"{NOWHERE} does not answer" in waiting["kafka"]
        assert await service.stop() == 0


async def test_open_streams_end_when_the_service_stops(database_url: str, tmp_path: Path) -> None:
    """Those of programs and those of pages, whose clients would go on listening."""
    key = make_key(database_url, tmp_path)
    ana = {"first_admin_email": "ana@example.org", "first_admin_password": PASSWORD}
    with running(tmp_path, key, kafka_bootstrap=NOWHERE, postgres_url=database_url, **ana) as service:
        await service.answers(200, "/v1/incidents")
        follower = Follower(service.url, {"Authorization": f"Bearer {key}"})
        await eventually(follower.try_start, what="the stream")
        async with http_client(service.url, timeout=60) as browser:
            await sign_in(browser, "ana@example.org", PASSWORD)
            async with browser.stream("GET", "/live?on=overview") as page:
                reported = page.aiter_lines()
                assert await anext(reported) == "event: live"
                assert await service.stop() == 0
                assert "event: signed-out" not in [line async for line in reported]
        await follower.ended()


async def test_postgres_away_is_waited_for_and_nothing_is_lost(
    kafka_bootstrap: str, database_url: str, producer: AIOKafkaProducer, model_id: str, tmp_path: Path
) -> None:
    key, proxy = make_key(database_url, tmp_path), Proxy(database_url)
    await proxy.open()
    with running(tmp_path, key, kafka_bootstrap=kafka_bootstrap, postgres_url=proxy.url) as service:
        await service.answers(200, "/readyz")
        await proxy.cut()
        await evaluate(producer, model_id, "critical", "critical")
        refused = await service.answers(503, "/v1/incidents")
        assert int(refused.headers["Retry-After"]) > 0
        session = {"Cookie": f"sentryml-session-8080={'A' * 43}"}
        page = await service.answers(503, "/incidents", headers=session)
        assert "Nothing is lost" in page.text
        assert "PostgreSQL does not answer" in (await service.answers(503, "/readyz")).text
        await proxy.open()
        steps = await published(kafka_bootstrap, model_id, 1)
        assert [step.kind for step in steps] == ["opened"]
        await service.answers(200, "/readyz")
        assert await service.stop() == 0
    await proxy.cut()


async def test_a_service_that_starts_before_postgres_waits_and_says_so(
    kafka_bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    key, proxy = make_key(database_url, tmp_path), Proxy(database_url)
    with running(tmp_path, key, kafka_bootstrap=kafka_bootstrap, postgres_url=proxy.url) as service:
        waiting = (await service.answers(503, "/readyz")).json()["waiting_for"]
        assert "does not answer" in waiting["postgres"] or "connecting" in waiting["postgres"]
        assert "starting" in (await service.answers(503, "/v1/incidents")).text
        await proxy.open()
        await service.answers(200, "/readyz")
        assert await service.stop() == 0
    await proxy.cut()


async def test_settings_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with running(tmp_path, "", public_url="sentryml.test/", evaluation_keep_days="0") as service:
        assert await asyncio.to_thread(service.process.wait, LONG_SECONDS) == 78
    said = service.log.read_text()
    assert "SENTRYML_PUBLIC_URL" in said
    assert "SENTRYML_EVALUATION_KEEP_DAYS" in said


async def test_tables_of_a_newer_version_are_refused_in_a_sentence(
    kafka_bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    """As after going back to an older version."""
    key = make_key(database_url, tmp_path)
    server = await asyncpg.connect(database_url)
    await server.execute("INSERT INTO incidents.migration (name, checksum) VALUES ('9999_newer.sql', 'x')")
    await server.close()
    with running(tmp_path, key, kafka_bootstrap=kafka_bootstrap, postgres_url=database_url) as service:
        assert await asyncio.to_thread(service.process.wait, LONG_SECONDS) == 78
    said = service.log.read_text()
    assert "a newer version has applied 9999_newer.sql; install that version, or restore a backup" in said
    assert "Traceback" not in said
    with pytest.raises(AssertionError, match=r"a newer version has applied 9999_newer\.sql") as refused:
        make_key(database_url, tmp_path)
    assert "Traceback" not in (tmp_path / "admin.log").read_text(), refused
