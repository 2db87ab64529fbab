"""What happens when a server is away or a record is bad: nothing is lost, and it is reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sentryml_common.contracts.topics import DEAD_LETTERS, PREDICTIONS
from sentryml_local.stack import Stack
from tests.e2e.user import User
from tests.support.eventually import eventually
from tests.support.frozen import frozen
from tests.support.http_client import http_client


def pid_of(stack: Stack, name: str) -> int:
    pid = next(each.pid for each in stack.status() if each.name == name)
    assert pid is not None
    return pid


def an_event(model_id: str) -> dict[str, Any]:
    return {"model_id": model_id, "prediction": "late", "score": 0.5, "timestamp": time.time()}


async def seen(user: User, model_id: str) -> int:
    """How many events of a model its activity shows."""
    answer = await user.incidents.get(f"/v1/models/{model_id}/activity")
    if answer.status_code != 200:
        return 0
    return sum(pane["count"] for pane in answer.json()["coarse_panes"])


def counted(user: User, model_id: str, count: int) -> Callable[[], Any]:
    async def check() -> bool:
        return await seen(user, model_id) == count

    return check


async def test_a_bad_record_is_dead_lettered_with_its_coordinates_and_processing_goes_on(
    stack: Stack, user: User
) -> None:
    bad = {
        b"not json": "not_json",
        b"[]": "no_events",
        orjson.dumps({"model_id": "bad", "prediction": 1, "timestamp": time.time(), "age": 42}): "invalid_events",
    }
    async with AIOKafkaProducer(bootstrap_servers=stack.addresses.kafka) as producer:
        sent = {}
        for value, reason in bad.items():
            at = await producer.send_and_wait(PREDICTIONS.name, value)
            sent[at.partition, at.offset] = reason
        await producer.send_and_wait(PREDICTIONS.name, orjson.dumps([an_event("after-bad"), an_event("after-bad")]))
    await eventually(counted(user, "after-bad", 2), what="events after the bad records to be counted")
    letters = await dead_letters(stack, set(sent))
    assert {at: letter["reason"] for at, letter in letters.items()} == sent
    detail = next(letter["detail"] for letter in letters.values() if letter["reason"] == "invalid_events")
    assert detail.startswith("event 0: unknown field")
    assert "age" not in detail, "what a sender called a field is kept nowhere"
    assert "42" not in detail, "a dead letter holds no payload"


async def dead_letters(stack: Stack, expected: set[tuple[int, int]]) -> dict[tuple[int, int], dict[str, Any]]:
    found: dict[tuple[int, int], dict[str, Any]] = {}
    async with AIOKafkaConsumer(
        DEAD_LETTERS.name, bootstrap_servers=stack.addresses.kafka, auto_offset_reset="earliest", group_id=None
    ) as consumer:

        async def all_there() -> bool:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    letter = orjson.loads(record.value)
                    if letter["topic"] == PREDICTIONS.name and (letter["partition"], letter["offset"]) in expected:
                        found[letter["partition"], letter["offset"]] = letter
            return set(found) == expected

        await eventually(all_there, what=f"dead letters of {expected}")
    return found


async def test_while_kafka_is_away_ingest_answers_503_and_takes_nothing(stack: Stack, user: User) -> None:
    await user.send([an_event("kafka-away")])
    await eventually(counted(user, "kafka-away", 1), what="the first event to be counted")
    kafka = pid_of(stack, "kafka")
    with frozen(kafka):
        answer = await user.ingest.post("/v1/events", json=an_event("kafka-away-refused"))
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["content-type"].startswith("application/problem+json")

    async def taken() -> bool:
        return (await user.ingest.post("/v1/events", json=an_event("kafka-away"))).status_code == 202

    await eventually(taken, what="ingest to take events again")
    # Nothing makes up for its wait by a longer one: the combiner once paused for nine times the time Kafka was away.
    await eventually(counted(user, "kafka-away", 2), what="the event after the pause to be counted once", within=30)


async def test_while_postgres_is_away_ingest_goes_on_and_incidents_catches_up(stack: Stack, user: User) -> None:
    server = psutil.Process(pid_of(stack, "postgres"))
    family = [server, *server.children()]
    for process in family:
        process.suspend()
    try:
        await user.send([an_event("postgres-away")])
        answer = await user.incidents.get("/v1/models")
        assert answer.status_code == 503, answer.text
        assert "Retry-After" in answer.headers
    finally:
        for process in family:
            process.resume()
    server.kill()
    await user.send([an_event("postgres-away")])

    async def registered() -> bool:
        return (await user.incidents.get("/v1/models/postgres-away")).status_code == 200

    await eventually(registered, what="the model seen meanwhile to be registered")
    await eventually(counted(user, "postgres-away", 2), what="both events to be shown")

    async def ready() -> bool:
        return (await user.incidents.get("/readyz")).status_code == 200

    await eventually(ready, what="incidents to be ready again")


async def test_no_key_and_a_wrong_key_are_answered_401(user: User) -> None:
    async with http_client(user.ingest.base_url) as stranger:
        assert (await stranger.post("/v1/events", json=an_event("x"))).status_code == 401
        wrong = {"Authorization": "Bearer sml_000000000000_" + "A" * 43 + "00000000"}
        answer = await stranger.post("/v1/events", json=an_event("x"), headers=wrong)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    answer = await user.ingest.get("/docs")
    assert answer.status_code == 200
