"""The notifier as a process, with real Kafka and PostgreSQL, killed and cut off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import API_KEYS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_local.slack_stand_in.store import Script
from tests.integration.notifier.conftest import Slack, World
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.http_client import http_client
from tests.support.http_server import HttpServer, http_server
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.proxy import Proxy
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn

SHORTEST_LEASE_SECONDS = 16
IMPATIENT = ("tests.support.impatient_kafka", "sentryml_notifier")
KEY, OTHER_KEY = form_key("notifiertest", "A" * 43), form_key("notifierelse", "A" * 43)


class Notifier:
    """A notifier of its own process."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process, self.log = process, log
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str, key: str | None = None) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with http_client() as client:
                return await client.get(self.url + path, headers=headers)
        except httpx.TransportError:
            assert self.process.poll() is None, self.log.read_text()
            return None

    async def ready(self, *but: str) -> dict[str, str]:
        """Wait until nothing but these is waited for; return what still is, and why."""

        async def waiting() -> dict[str, dict[str, str]] | None:
            answer = await self.get("/readyz")
            found = answer.json()["waiting_for"] if answer else None
            return {"waiting": found} if found is not None and set(found) == set(but) else None

        return (await eventually(waiting, what=f"{self.url} to be ready\n{self.log}"))["waiting"]

    async def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return await asyncio.to_thread(self.process.wait, LONG_SECONDS)


@contextmanager
def notifier(folder: Path, *, dies_at: tuple[str, str] | None = None, **settings: str) -> Iterator[Notifier]:
    """Run it; `dies_at` is a step of tests.support.dying_notifier and a model. Its clock is real and incidents are of a
    fixed day, so it asks no questions about long drift unless it is to."""
    port, log = free_port(), folder / f"notifier-{len(list(folder.iterdir()))}.log"
    settings = {"long_drift_question_days": "0", "http_port": str(port), **settings}
    environment = {f"SENTRYML_{name.upper()}": value for name, value in settings.items()}
    command = ("tests.support.dying_notifier", *dies_at) if dies_at else IMPATIENT
    process = Process(*command, environment=environment, log=log)
    try:
        yield Notifier(process, port, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def settings_of(kafka: str, database_url: str, slack: Slack, **more: str) -> dict[str, str]:
    return {
        "kafka_bootstrap": kafka, "postgres_url": database_url, "slack_webhook_url": slack.address,
        "allowed_hosts": slack.authority, "slack_messages_per_second": "1000", "dispatch_poll_seconds": "0.2",
        **more,
    }  # fmt: skip


@pytest.fixture
def database_template() -> None:
    """An empty database: the service makes its tables."""


@pytest.fixture
async def producer(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    await ensure_topics(KafkaSettings(kafka_bootstrap=kafka_bootstrap), Health())
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await producer.start()
    yield producer
    await producer.stop()


async def publish(producer: AIOKafkaProducer, transition: Transition) -> None:
    await producer.send_and_wait(TRANSITIONS.name, encode(transition), transition.model_id.encode())


async def groups_of(kafka: str) -> set[str]:
    """The consumer groups that there are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        return {group for group, _ in await admin.list_consumer_groups()}
    finally:
        await admin.close()


async def titles_of(slack: Slack, model_id: str, count: int) -> list[str]:
    """The titles of a model's messages, when there are `count` of them."""

    async def titles() -> list[str] | None:
        found = [title for title in slack.titles if model_id in title]
        return found if len(found) >= count else None

    return await eventually(titles, what=f"{count} messages about {model_id}")


async def end_leases(database_url: str) -> None:
    """Let what a dead notifier was sending be taken over now, not after the rest of its lease."""
    connection = await asyncpg.connect(database_url)
    try:
        assert (
            await connection.execute("UPDATE notifier.delivery SET due_at = now() WHERE state = 'sending'")
            != "UPDATE 0"
        )
    finally:
        await connection.close()


@pytest.fixture
async def watching() -> AsyncIterator[HttpServer]:
    """Who watches the notifier from outside."""
    async with http_server() as server:
        yield server


async def test_alert_goes_from_kafka_to_slack_and_into_the_ledger(
    kafka_bootstrap: str,
    database_url: str,
    slack: Slack,
    watching: HttpServer,
    producer: AIOKafkaProducer,
    tmp_path: Path,
) -> None:
    """A bad record before it is dead-lettered; the ledger shows it to a key that may read, and to no other; and the
    notifier gives its sign of life."""
    for key_id, key, models in (("notifiertest", KEY, ()), ("notifierelse", OTHER_KEY, ("else-*",))):
        known = ApiKey(key_id=key_id, name="test", key_hash=hash_key(key), scopes=(Scope.READ,), models=models)
        await producer.send_and_wait(API_KEYS.name, encode(known), key_id.encode())
    settings = settings_of(kafka_bootstrap, database_url, slack)
    settings["allowed_hosts"] += f",{watching.authority}"
    settings["heartbeat_url"] = f"http://{watching.authority}/ping/0c4c6a1e"
    with notifier(tmp_path, **settings) as service:
        await service.ready()
        await producer.send_and_wait(TRANSITIONS.name, b'{"v":1}', b"service-1")
        await publish(producer, opened_critical(incident=101, model_id="service-1"))
        assert await titles_of(slack, "service-1", 1) == ["🔴 CRITICAL drift · service-1"]
        assert "sentryml.notifier" in await groups_of(kafka_bootstrap), "its name begins as those of all services do"

        async def delivered() -> object:
            answer = await service.get("/v1/deliveries?state=delivered", KEY)
            return [row for row in answer.json()["items"] if row["model_id"] == "service-1"] if answer else None

        (row,) = await eventually(delivered, what="the delivery in the ledger")
        assert [attempt["outcome"] for attempt in row["attempts"]] == ["delivered"]
        channels = await service.get("/v1/channels", KEY)
        assert channels is not None
        assert [(each["name"], each["state"], each["parked"]) for each in channels.json()["items"]] == [
            ("slack", "active", 0)
        ]
        others = await service.get("/v1/deliveries", OTHER_KEY)
        assert others is not None
        assert others.json()["items"] == [], "a key for other models sees none of this one"
        for wrong in (None, "nonsense", form_key("notifiertest", "B" * 43)):
            refused = await service.get("/v1/deliveries", wrong)
            assert refused is not None
            assert refused.status_code == 401
        metrics = await service.get("/metrics")
        assert metrics is not None
        assert 'sentryml_delivery_total{channel="slack",kind="opened",outcome="delivered",reason="ok"}' in metrics.text
        assert 'reason="breaks_contract"' in metrics.text
        await eventually(watching.requests, what="a sign of life")
        assert await service.stop() == 0
    for secret in ("/services/T0TEST", "/ping/0c4c6a1e"):
        assert secret not in service.log.read_text()


async def test_killed_while_sending_it_sends_again_and_says_so(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    settings = settings_of(kafka_bootstrap, database_url, slack, delivery_lease_seconds=str(SHORTEST_LEASE_SECONDS))
    # Slow for each, since the topic may hold what other tests have published: theirs may come first.
    slack.play(Script(delay_seconds=5, accept=True, times=1000))
    with notifier(tmp_path, **settings) as service:
        await service.ready()
        await publish(producer, opened_warn(incident=102, model_id="killed"))
        await titles_of(slack, "killed", 1)
        await service.stop(signal.SIGKILL)
    slack.store.stop_playing()
    await end_leases(database_url)
    with notifier(tmp_path, **settings) as service:
        await publish(producer, escalated(incident=102, model_id="killed"))
        titles = await titles_of(slack, "killed", 3)
    assert titles == [
        "🟠 Warning: drift · killed",
        "🟠 Warning: drift · killed (repeat)",
        "🔴 CRITICAL drift, escalated · killed",
    ]


async def test_what_is_in_the_ledger_leaves_while_kafka_is_away(
    database_url: str, slack: Slack, world: World, tmp_path: Path
) -> None:
    await world.take_in(opened_critical(model_id="no-kafka"))
    with notifier(tmp_path, **settings_of("127.0.0.1:1", database_url, slack)) as service:
        assert await titles_of(slack, "no-kafka", 1)
        waiting = await service.ready("kafka", "start")
        assert "127.0.0.1:1 does not answer" in waiting["kafka"]


async def test_postgres_away_is_waited_for_and_nothing_is_lost(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    proxy = Proxy(database_url)
    await proxy.open()
    try:
        with notifier(tmp_path, **settings_of(kafka_bootstrap, proxy.url, slack)) as service:
            await service.ready()
            await proxy.cut()
            await publish(producer, opened_critical(incident=103, model_id="cut-off"))

            async def says_so() -> object:
                answer = await service.get("/readyz")
                return answer is not None and "PostgreSQL does not answer" in answer.text

            await eventually(says_so, what="/readyz to say that PostgreSQL is away")
            assert slack.titles == []
            await proxy.open()
            assert await titles_of(slack, "cut-off", 1) == ["🔴 CRITICAL drift · cut-off"]
            await service.ready()
            assert await service.stop() == 0
    finally:
        await proxy.cut()


def test_address_that_secrets_must_not_go_to_stops_the_start(tmp_path: Path, database_url: str) -> None:
    settings = {"postgres_url": database_url, "slack_webhook_url": "https://evil.example/services/verysecret"}
    with notifier(tmp_path, **settings) as service:
        assert service.process.wait(timeout=LONG_SECONDS) == 78
    log = service.log.read_text()
    assert "SENTRYML_ALLOWED_HOSTS=evil.example:443" in log
    assert "verysecret" not in log
