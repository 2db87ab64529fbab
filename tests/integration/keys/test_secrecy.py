"""No key is anywhere: used well and wrongly against real processes, then looked for in all that is left behind.

What a sender writes into an event's own fields (`model_id`, `prediction`, `event_id`) is the sender's data, and goes
to `predictions.v1` as it is: a key that is put there is in that topic. So no key is put there here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from sentryml_common.contracts.topics import API_KEY_USAGE, API_KEYS, DEAD_LETTERS
from tests.integration.incidents.test_admin import admin_process
from tests.integration.incidents.test_service import make_key
from tests.integration.ingest.conftest import Ingest, StartIngest
from tests.integration.keys.conftest import EVENT, Incidents, incidents, key_id, until
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin

SECRET = slice(17, 60)


def typo_in(key: str) -> str:
    """The same key with a wrong checksum: its secret is whole."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


async def use_wrongly(incidents: Incidents, ingest: Ingest, key: str) -> list[httpx.Response]:
    """A key in every place where a person may put it by mistake."""
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/models?api_key={key}", {}),
        ("GET", f"/v1/models?cursor={key}", {}),
        ("GET", f"/v1/incidents?state={key}", {}),
        ("GET", f"/v1/incidents?model={key}", {}),
        ("GET", f"/v1/models/{key}", {}),
        ("GET", f"/v1/models/{key}/activity", {}),
        ("GET", f"/v1/incidents/{key}", {}),
        ("GET", f"/incidents/{key}", {}),
        ("GET", f"/{key}", {}),
        ("DELETE", f"/v1/api-keys/{key}", {}),
        ("POST", f"/v1/api-keys/{key}/rotate", {}),
        ("POST", "/v1/api-keys", {"json": {"name": key, "scopes": ["read"]}}),
        ("POST", "/v1/api-keys", {"json": {"name": "x", "scopes": [key]}}),
        ("POST", "/v1/api-keys", {"json": {"name": "x", "scopes": ["read"], "models": [key]}}),
        ("POST", "/v1/api-keys", {"json": {"name": "x", "scopes": ["read"], "expires_at": key}}),
        ("POST", "/v1/api-keys", {"json": {"name": "x", "scopes": ["read"], key: True}}),
        ("POST", "/v1/api-keys", {"content": key, "headers": {"content-type": "application/json"}}),
        ("PUT", f"/v1/models/{key}/monitor", {"json": {key: key}}),
        *(("GET", "/v1/models", {"headers": {"Authorization": given}}) for given in bad_headers(key)),
    ]
    answers = [await incidents.ask(method, path, **how) for method, path, how in asked]
    answers += [await ingest.send(None, EVENT, authorization=given) for given in bad_headers(key)]
    answers += [
        await ingest.send(key, body) for body in ({**EVENT, key: 1}, {**EVENT, "score": key}, key.encode(), key)
    ]
    answers += [
        await ingest.send(key, EVENT, **{"content-type": key}),
        await ingest.send(None, EVENT, **{"x-key": key}),
    ]
    for path in (f"/v1/events?api_key={key}", f"/{key}"):
        answer = await ingest.ask("POST", path, json=EVENT)
        assert answer is not None
        answers.append(answer)
    # Pages lead to the sign-in, queries of the API are answered without it.
    assert all(400 <= answer.status_code < 500 or answer.is_redirect or answer.request.url.query for answer in answers)
    return answers


def bad_headers(key: str) -> tuple[str, ...]:
    return (
        key,
        f"Basic {key}",
        f"Bearer {typo_in(key)}",
        f"Bearer {key}{key}",
        f"Bearer  {key}",
        f"Bearer Bearer {key}",
    )


async def all_partitions(kafka_bootstrap: str) -> list[TopicPartition]:
    async with kafka_admin(kafka_bootstrap) as admin_client:
        topics = await admin_client.describe_topics()
    found = [TopicPartition(topic["topic"], part["partition"]) for topic in topics for part in topic["partitions"]]
    assert {API_KEYS.name, API_KEY_USAGE.name, DEAD_LETTERS.name} <= {partition.topic for partition in found}
    return found


async def everything_in(kafka_bootstrap: str) -> list[bytes]:
    """All records of all topics: keys, values and headers."""
    partitions = await all_partitions(kafka_bootstrap)
    async with AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=None, enable_auto_commit=False) as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends, found = await consumer.end_offsets(partitions), []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    found += [record.key or b"", record.value or b"", str(record.headers).encode()]
        return found


async def everything_kept(database_url: str) -> list[bytes]:
    """All rows of all tables, as text."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        assert len(tables) > 5
        rows = [row for table in tables for row in await connection.fetch(f"SELECT t::text FROM {table['name']} AS t")]
        return [row["t"].encode() for row in rows]
    finally:
        await connection.close()


def assert_nowhere(keys: Iterable[str], where: str, found: Iterable[bytes]) -> None:
    secrets = [key[SECRET].encode() for key in keys]
    for text in found:
        assert not any(secret in text for secret in secrets), f"a key is in {where}: {text[:200]!r}"


async def test_no_key_is_in_logs_answers_the_database_or_a_topic(
    kafka_bootstrap: str, database_url: str, start_ingest: StartIngest, tmp_path: Path
) -> None:
    loud = {"kafka_bootstrap": kafka_bootstrap, "log_level": "debug"}
    admin_key = make_key(database_url, tmp_path)
    ingest, said = start_ingest(**loud), list[bytes]()
    with incidents(tmp_path, admin_key, postgres_url=database_url, **loud) as service:
        await service.service.answers(200, "/readyz")
        good, ending, revoked = [await service.make_key("events:write", "read") for _ in range(3)]
        rotated = await service.ask("POST", f"/v1/api-keys/{key_id(ending)}/rotate")
        by_command = admin_process(database_url, "rotate-api-key", key_id(good)).stdout.strip()
        for mistaken in (("revoke-api-key", good), ("rotate-api-key", good), ("list-api-keys",)):
            done = admin_process(database_url, *mistaken)
            said.append((done.stdout + done.stderr).encode())
        await until(ingest, revoked, 202)
        assert (await service.ask("DELETE", f"/v1/api-keys/{key_id(revoked)}")).status_code == 204
        await until(ingest, revoked, 401)
        keys = (admin_key, good, ending, revoked, rotated.json()["api_key"], by_command)
        for key in keys:
            if key != revoked:
                await until(ingest, key, 202)
            for answer in await use_wrongly(service, ingest, key):
                said += [answer.content, str(answer.headers.raw).encode()]

        async def uses_reported() -> bool:
            return (await service.shown(good))["last_used_at"] is not None

        await eventually(uses_reported, what="the last use to be shown")
        assert await service.service.stop() == 0
        logs = [service.service.log.read_bytes()]
    assert await ingest.stop() == 0
    logs.append(ingest.log.read_bytes())
    records, rows = await everything_in(kafka_bootstrap), await everything_kept(database_url)
    for known in (logs, records, rows):
        assert known
    assert any(key_id(good).encode() in row for row in rows), "the right database is looked at"
    assert any(key_id(good).encode() in record for record in records), "the right topics are read"
    assert_nowhere(keys, "an answer", said)
    assert_nowhere(keys, "a log", logs)
    assert_nowhere(keys, "a topic", records)
    assert_nowhere(keys, "the database", rows)
