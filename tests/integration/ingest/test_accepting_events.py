"""Ingest as a process, on a real Kafka: what is answered `202` is in the topic, what is refused is not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import Scope, form_key
from sentryml_common.contracts.prediction import parse_events, request_id_in
from tests.integration.ingest.conftest import (
    Ingest,
    StartIngest,
    all_records,
    make_key,
    publish_key,
    records_of,
    starting,
)
from tests.support.eventually import eventually

STRANGER = form_key("000000000000", "A" * 43)


LIMITS = {"max_body_bytes": 50_000, "max_events": 500}


@pytest.fixture(scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str, key: str) -> AsyncIterator[Ingest]:
    """An ingest that knows `key`."""
    with starting(tmp_path_factory.mktemp("ingest")) as start:
        running = start(kafka_bootstrap=kafka_bootstrap, **LIMITS)
        await running.until_ready()
        yield running


def event(model_id: str, **changes: Any) -> dict[str, Any]:
    return {"model_id": model_id, "prediction": "late", "score": 0.93, **changes}


async def test_one_event_is_in_the_topic_once_it_is_answered_202(
    ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str
) -> None:
    sent = event(model_id, timestamp="2026-11-23T10:15:00+01:00", event_id="UA1545")
    answer = await ingest.send(key, sent)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    assert await records_of(kafka_bootstrap, model_id) == [(None, [sent])]


async def test_a_batch_is_one_record_without_a_key_in_which_every_event_has_a_time(
    ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str
) -> None:
    before = system_clock()  # what ingest's own clock is held against
    predictions: list[object] = ["late", True, 0.5, 7]
    answer = await ingest.send(key, [event(model_id, prediction=value, score=None) for value in predictions])
    after = system_clock()
    assert (answer.status_code, answer.json()) == (202, {"accepted": 4})
    [(record_key, events)] = await records_of(kafka_bootstrap, model_id)
    assert record_key is None
    assert [sent["prediction"] for sent in events] == predictions
    read = parse_events(orjson.dumps(events))
    assert all(each.timestamp is not None and before <= each.timestamp <= after for each in read)


async def test_a_retry_goes_to_the_partition_of_the_first_attempt_with_the_same_id(
    ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str
) -> None:
    for _ in range(8):  # chance would bring all to one of the four partitions once in 4^7 times
        answer = await ingest.send(key, [event(model_id), event(model_id)], **{"idempotency-key": model_id})
        assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    records = [each for each in await all_records(kafka_bootstrap) if model_id.encode() in each.value]
    assert len(records) == 8
    [(_, request_id)] = {(each.partition, request_id_in(each.headers)) for each in records}
    assert request_id is not None
    assert {each.key for each in records} == {request_id}


@pytest.mark.parametrize(
    ("body", "status", "kind", "says"),
    [
        ([{}, {"age": 42}], 422, "invalid-events", "unknown field"),
        ([{}, {"score": "high"}], 422, "invalid-events", "event 1, score: must be a finite number or null"),
        ([{"timestamp": (datetime(2100, 1, 1, tzinfo=UTC)).isoformat()}], 422, "invalid-events", "in the future"),
        (b"{", 422, "not-json", "not JSON"),
        (b"[]", 422, "no-events", "at least one event"),
        ([{}] * 501, 413, "too-many-events", "500"),
        ([{"event_id": "x" * 64}] * 490, 413, "body-too-large", "50,000 bytes"),
    ],
)
async def test_a_bad_request_is_refused_whole_and_says_what_to_do(
    ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str, body: Any, status: int, kind: str, says: str
) -> None:
    sent = body if isinstance(body, bytes) else [event(model_id, **changes) for changes in body]
    answer = await ingest.send(key, sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:sentryml:problem:{kind}"
    assert says in str(problem)
    assert await records_of(kafka_bootstrap, model_id) == []


async def test_every_bad_event_is_named_by_index_field_and_reason(ingest: Ingest, key: str, model_id: str) -> None:
    bad = [
        event(model_id, age=42), event(model_id), {"prediction": 1},
        event(model_id, timestamp=(system_clock() + timedelta(minutes=6)).isoformat()),
    ]  # fmt: skip
    first, last = await ingest.send(key, bad), await ingest.send(key, [event(model_id), bad[3]])
    assert [(error["index"], error["field"]) for error in first.json()["errors"]] == [(0, "age"), (2, "model_id")]
    assert first.json()["more_errors"] is False
    assert "SentryML takes no feature values" in first.json()["errors"][0]["reason"]
    assert [(error["index"], error["field"]) for error in last.json()["errors"]] == [(1, "timestamp")]


async def test_who_is_not_let_in_learns_why(ingest: Ingest, key: str, kafka_bootstrap: str, model_id: str) -> None:
    reader, _ = await make_key(kafka_bootstrap, Scope.READ)
    for_fraud, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE, models=("fraud-*",))
    await until_known(ingest, for_fraud)
    for nobody in (None, "nonsense", STRANGER, key[:-1] + ("0" if key[-1] != "0" else "1")):
        answer = await ingest.send(nobody, event(model_id))
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await ingest.send(reader, event(model_id))).json()["type"] == "urn:sentryml:problem:forbidden"
    answer = await ingest.send(for_fraud, [event("fraud-eu"), event(model_id)])
    assert (answer.status_code, answer.json()["models"]) == (403, [model_id])
    assert await records_of(kafka_bootstrap, model_id) == []


async def until_known(ingest: Ingest, key: str) -> None:
    """Wait until ingest has received a key."""

    async def known() -> bool:
        return (await ingest.send(key, b"{")).status_code == 422

    await eventually(known, what="ingest to hear of the key", within=10)


async def test_a_key_counts_from_when_it_is_made_to_when_it_is_revoked(
    ingest: Ingest, kafka_bootstrap: str, model_id: str
) -> None:
    text, known = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    await until_known(ingest, text)
    assert (await ingest.send(text, event(model_id))).status_code == 202
    await publish_key(kafka_bootstrap, known.model_copy(update={"revoked_at": system_clock()}))

    async def refused() -> bool:
        return (await ingest.send(text, event(model_id))).status_code == 401

    await eventually(refused, what="the key to be refused", within=10)


async def test_what_is_not_json_by_its_type_is_415_and_says_what_is_taken(ingest: Ingest, key: str) -> None:
    answer = await ingest.send(key, b"model_id,prediction", **{"content-type": "text/csv"})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_the_api_is_described(ingest: Ingest) -> None:
    docs, schema = [await ingest.ask("GET", path) for path in ("/docs", "/openapi.json")]
    assert docs is not None
    assert schema is not None
    assert docs.status_code == 200
    assert "POST /v1/events</h3>" in docs.text
    assert "//" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', docs.text)), "nothing comes from another host"
    answers = set(schema.json()["paths"]["/v1/events"]["post"]["responses"])
    assert answers >= {"202", "401", "403", "413", "415", "422", "429", "503"}


async def test_what_happened_is_counted_and_neither_keys_nor_events_are_in_the_log(
    start_ingest: StartIngest, kafka_bootstrap: str, key: str, model_id: str
) -> None:
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)
    await ingest.until_ready()
    good, bad = event(model_id, prediction="very-private"), event(model_id, prediction="very-private", age=1)
    assert (await ingest.send(key, [good, good])).status_code == 202
    assert (await ingest.send(key, [good, bad])).status_code == 422
    metrics = await ingest.ask("GET", "/metrics")
    assert metrics is not None
    for counted in (
        "sentryml_ingest_events_accepted_total 2.0",
        'sentryml_ingest_events_refused_total{reason="invalid_events"} 1.0',
        'sentryml_ingest_requests_total{status="202"} 1.0',
        'sentryml_ingest_requests_total{status="422"} 1.0',
        "sentryml_ingest_publish_seconds_count 1.0",
    ):
        assert counted in metrics.text
    assert await ingest.stop() == 0
    assert ingest.logged("service_stopped")
    assert "very-private" not in ingest.log.read_text()
    assert key not in ingest.log.read_text()
