"""Bodies made to be expensive cost their sender a refusal; everybody else is served, and memory stays flat."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from tests.integration.ingest.conftest import Ingest, StartIngest, make_key, records_of

BODIES, GOOD_REQUESTS = 12, 10
MEGABYTE = 1 << 20
EMPTY_OBJECTS = b"[" + b"{}," * 166_000 + b"{}]"
BAD_EVENTS = b"[" + b'{"model_id":"","prediction":null,"age":1},' * 4_999 + b"{}]"
MANY_FIELDS = b"{" + b",".join(b'"feature_%d":1' % number for number in range(25_000)) + b"}"
TWICE = b"[" + b",".join([b'{"model_id":"m","prediction":1,"score":1,"score":2}'] * 5_000) + b"]"


def most_memory(ingest: Ingest) -> int:
    """The most memory that the process has held so far, in bytes."""
    lines = Path(f"/proc/{ingest.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def alive(ingest: Ingest) -> bool:
    answer = await ingest.ask("GET", "/livez")
    return answer is not None and answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (EMPTY_OBJECTS, 413, "too-many-events"),
        (BAD_EVENTS, 422, "invalid-events"),
        (MANY_FIELDS, 422, "invalid-events"),
        (TWICE, 422, "invalid-events"),
    ],
    ids=["empty objects", "bad events", "unknown fields", "fields given twice"],
)
async def test_other_senders_are_served_while_bad_bodies_come_in(
    kafka_bootstrap: str, start_ingest: StartIngest, model_id: str, body: bytes, status: int, kind: str
) -> None:
    careless, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    careful, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)
    await ingest.until_ready()
    assert (await ingest.send(careful, {"model_id": model_id, "prediction": 0})).status_code == 202
    before = most_memory(ingest)

    bad = asyncio.gather(*(ingest.send(careless, body) for _ in range(BODIES)))
    taken: list[httpx.Response] = []
    for number in range(1, GOOD_REQUESTS):
        assert await alive(ingest)
        taken.append(await ingest.send(careful, {"model_id": model_id, "prediction": number}))

    for refused in await bad:
        problem = refused.json()
        assert (refused.status_code, problem["type"]) == (status, f"urn:sentryml:problem:{kind}")
        assert len(problem.get("errors", [])) <= 100
        assert len(refused.content) < 50_000
    assert [answer.status_code for answer in taken] == [202] * (GOOD_REQUESTS - 1)
    assert len(await records_of(kafka_bootstrap, model_id)) == GOOD_REQUESTS
    assert most_memory(ingest) - before < 100 * MEGABYTE


async def test_a_body_with_too_many_events_is_refused_with_their_number(
    kafka_bootstrap: str, start_ingest: StartIngest
) -> None:
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)
    await ingest.until_ready()
    answer = await ingest.send(key, EMPTY_OBJECTS)
    assert answer.json()["detail"] == "a request may hold 5,000 events, this one has 166,001"
