"""docs/backup.md, step by step: an older PostgreSQL beside a Kafka that has gone on."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, API_KEYS, DELIVERIES, EVALUATIONS, MONITORS, Topic
from sentryml_local.postgres import POSTGRES_BIN_PATH
from sentryml_local.stack import Stack
from tests.e2e.stories.drift_and_recovery import MONITOR
from tests.e2e.user import Traffic, User, a_user
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.reading import messages_in
from tests.support.servers import a_stack

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = (ROOT / "docs" / "backup.md").read_text()
STOPPED = ["incidents", "notifier"]
REWOUND = {"evaluations": EVALUATIONS, "activity": ACTIVITY, "deliveries": DELIVERIES}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with a_stack() as running:
        yield running


@pytest.fixture
async def user(stack: Stack) -> AsyncIterator[User]:
    async with a_user(stack) as user:
        yield user


class Site:
    """An installation, as its operator uses it."""

    def __init__(self, stack: Stack, client: httpx.AsyncClient) -> None:
        self._stack, self._client, self.env = stack, client, stack.environment()
        self.kafka = self.env["SENTRYML_KAFKA_BOOTSTRAP"]

    async def send(self, model_id: str, key: str) -> int:
        body = {"model_id": model_id, "prediction": "a", "score": 0.5}
        return await self._status("POST", f"{self.env['SENTRYML_INGEST_URL']}/v1/events", key, json=body)

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.env['SENTRYML_ADMIN_KEY']}"}
        return await self._client.request(method, self.env["SENTRYML_INCIDENTS_URL"] + path, headers=headers, **how)

    async def knows(self, model_id: str) -> bool:
        return (await self.ask("GET", f"/v1/models/{model_id}")).status_code == 200

    async def evaluations(self, model_id: str) -> set[str]:
        """The ids of its evaluations."""
        answer = await self.ask("GET", f"/v1/models/{model_id}/evaluations", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return {each["evaluation_id"] for each in answer.json()["items"]}

    async def make_key(self) -> tuple[str, str]:
        """(id, key) of a new key that may send events."""
        answer = await self.ask("POST", "/v1/api-keys", json={"name": "a sender", "scopes": ["events:write"]})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return made["key_id"], made["api_key"]

    async def _status(self, method: str, url: str, key: str, **how: Any) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return (await self._client.request(method, url, headers=headers, **how)).status_code

    def run(self, program: str, *arguments: str, database: str = "sentryml") -> None:
        """A program of PostgreSQL, as the page has it run in the container."""
        server = self.env["SENTRYML_POSTGRES_URL"].rpartition("/")[0]
        command = [str(POSTGRES_BIN_PATH / program), "--dbname", f"{server}/{database}", *arguments]
        subprocess.run(command, check=True)

    def restore(self, dump: Path) -> None:
        """With incidents and notifier stopped."""
        for statement in ("DROP DATABASE sentryml WITH (FORCE)", "CREATE DATABASE sentryml"):
            assert statement in DOCS
            self.run("psql", "--quiet", "--command", statement, database="postgres")
        self.run("pg_restore", "--exit-on-error", str(dump))

    async def rewind_all(self, to: float) -> None:
        """What the page has done before incidents starts again."""
        assert f"for group in {' '.join(REWOUND)}; do" in DOCS
        for group, topic in REWOUND.items():
            await self.rewind(topic, f"sentryml.incidents.{group}", to)

    async def rewind(self, topic: Topic, group: str, to: float) -> None:
        """What `kafka-consumer-groups.sh --reset-offsets --to-datetime` does to a group without members."""
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=group, enable_auto_commit=False) as consumer:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            consumer.assign(partitions)
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, int(to * 1000)))
            ends = await consumer.end_offsets(partitions)
            await consumer.commit({each: found[each].offset if found[each] else ends[each] for each in partitions})

    async def newest_monitor(self, model_id: str) -> int:
        """The version that the processor has."""
        return (await messages_in(self.kafka, MONITORS, Monitor, model_id))[-1].version


@pytest.fixture
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with http_client(timeout=30) as client:
        yield Site(stack, client)


async def becomes(status: int, site: Site, key: str) -> None:
    async def answered() -> bool:
        return await site.send("before", key) == status

    await eventually(answered, what=f"ingest to answer {status}")


async def test_an_older_database_beside_a_newer_kafka(stack: Stack, site: Site) -> None:
    events_key, dump = site.env["SENTRYML_EVENTS_KEY"], stack.folder / "sentryml.dump"
    revoked_id, revoked = await site.make_key()
    await becomes(202, site, revoked)
    await eventually(lambda: site.knows("before"), what="the model to be registered")

    async def first_monitor() -> int:
        return int((await site.ask("GET", "/v1/models/before/monitor")).json()["version"])

    backed_up_version, backed_up_at = await first_monitor(), time.time()
    site.run("pg_dump", "--format", "custom", "--file", str(dump))
    evaluated = await site.evaluations("before")

    # Since the backup: a model appears, a monitor is changed, a key is revoked and one is made.
    assert await site.send("after", events_key) == 202
    await eventually(lambda: site.knows("after"), what="the new model to be registered")
    often = {"baseline_seconds": 60, "current_seconds": 10, "every_seconds": 10}
    changed = await site.ask("PUT", "/v1/models/before/monitor", json=often)
    assert changed.status_code == 200, changed.text

    async def evaluated_since() -> set[str]:
        return await site.evaluations("before") - evaluated

    await eventually(evaluated_since, what="an evaluation under the changed monitor")
    lost = await evaluated_since()
    assert (await site.ask("DELETE", f"/v1/api-keys/{revoked_id}")).status_code in (200, 204)
    await becomes(401, site, revoked)
    made_id, made = await site.make_key()
    await becomes(202, site, made)

    async def newer_in_kafka() -> bool:
        return await site.newest_monitor("before") > backed_up_version

    await eventually(newer_in_kafka, what="the changed monitor to be in Kafka")

    # Restored, and nothing else.
    stack.stop(STOPPED)
    site.restore(dump)
    await asyncio.to_thread(stack.up)
    assert await site.knows("before")
    assert not await site.knows("after"), "a model comes back when it is next active"
    assert not lost & await site.evaluations("before")
    assert await newer_in_kafka(), "the processor goes on with the newer monitor"
    assert await first_monitor() == backed_up_version

    # The other steps of the page.
    stack.stop(STOPPED)
    site.run("psql", "--quiet", "--file", str(ROOT / "deploy" / "after-restore.sql"))
    await site.rewind_all(backed_up_at)
    await asyncio.to_thread(stack.up)
    await eventually(lambda: site.knows("after"), what="the model that appeared since the backup to come back")

    async def evaluations_are_back() -> bool:
        return lost <= await site.evaluations("before")

    await eventually(evaluations_are_back, what=f"the evaluations {lost} to come back")

    async def as_backed_up() -> bool:
        return await site.newest_monitor("before") == backed_up_version

    await eventually(as_backed_up, what="the monitor of the backup to be in Kafka")
    await becomes(202, site, revoked)
    assert await site.send("before", made) == 202, "a key that no page knows works at ingest"
    assert made_id not in (await site.ask("GET", "/v1/api-keys")).text
    await delete_key(site, made_id)
    await becomes(401, site, made)


async def delete_key(site: Site, key_id: str) -> None:
    """What `kafka-console-producer.sh` with a null marker does."""
    async with AIOKafkaProducer(bootstrap_servers=site.kafka) as producer:
        await producer.send_and_wait(API_KEYS.name, None, key_id.encode())


async def open_incident(user: User, model_id: str) -> dict[str, Any]:
    """An incident of a model whose data drift, once Slack has its alert; then no more events come."""
    traffic = Traffic(user, model_id, seed=7)
    try:
        await user.watch(model_id, **MONITOR)

        async def quiet() -> bool:
            found = (await user.get(f"/v1/models/{model_id}/evaluations"))["items"]
            return bool(found) and found[0]["level"] == "ok"

        await eventually(quiet, what="a quiet evaluation")
        traffic.drifting = True
        opened = await eventually(lambda: user.incident_of(model_id), what="an incident")
        await eventually(lambda: user.messages_about(model_id), what="its alert")
    finally:
        await traffic.stop()
    assert opened is not None
    return opened


async def alerts_about(user: User, model_id: str) -> list[str]:
    """What Slack shows of each message about a model in a list. The rest of it depends on the monitor, too."""
    return [message.partition("'blocks'")[0] for message in await user.messages_about(model_id)]


async def first_delivery(user: User, incident_id: str) -> dict[str, Any] | None:
    """That of the alert of an incident that has opened, as incidents knows it, once it is delivered."""
    found = (await user.get(f"/v1/incidents/{incident_id}/deliveries"))["items"]
    return next((each for each in found if each["kind"] == "opened" and each["state"] == "delivered"), None)


async def test_incidents_come_back_and_only_alerts_since_the_backup_are_sent_again(
    stack: Stack, site: Site, user: User
) -> None:
    earlier = await open_incident(user, "earlier")
    delivered = await eventually(lambda: first_delivery(user, earlier["incident_id"]), what="the delivery to be known")
    dump, backed_up_at = stack.folder / "sentryml.dump", time.time()
    site.run("pg_dump", "--format", "custom", "--file", str(dump))
    since = await open_incident(user, "since")
    opened = (await user.timeline(since["incident_id"]))[0]
    [alert, *_], [first_alert, *_] = await alerts_about(user, "since"), await alerts_about(user, "earlier")

    stack.stop(STOPPED)
    site.restore(dump)
    site.run("psql", "--quiet", "--file", str(ROOT / "deploy" / "after-restore.sql"))
    await site.rewind_all(backed_up_at)
    await asyncio.to_thread(stack.up)

    async def came_back() -> bool:
        found = await user.incident_of("since")
        return found is not None and found["incident_id"] == since["incident_id"]

    await eventually(came_back, what="the incident since the backup to come back")
    again = (await user.timeline(since["incident_id"]))[0]
    # What comes next is said by the monitor, whose change since the backup is lost.
    assert {**again, "text": {**again["text"], "next": []}} == {**opened, "text": {**opened["text"], "next": []}}

    async def sent_again() -> bool:
        return (await alerts_about(user, "since")).count(alert) == 2

    await eventually(sent_again, what="the alert since the backup to be sent a second time")
    assert (await alerts_about(user, "earlier")).count(first_alert) == 1
    assert await first_delivery(user, earlier["incident_id"]) == delivered
