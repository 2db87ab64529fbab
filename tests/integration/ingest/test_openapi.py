"""Ingest answers as its OpenAPI says, whatever is sent: schemathesis on the real process and a real Kafka."""

from __future__ import annotations

from pathlib import Path

from sentryml_common.contracts.api_key import Scope
from tests.integration.ingest.conftest import StartIngest, make_key
from tests.support.schemathesis import Beyond, hold_to_openapi

BEYOND = [Beyond("POST", "/v1/events", 422, "a timestamp may neither be too old nor lie ahead of the clock")]


async def test_every_answer_is_as_documented(kafka_bootstrap: str, start_ingest: StartIngest, tmp_path: Path) -> None:
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)
    await ingest.until_ready()
    await hold_to_openapi(ingest.url, key, tmp_path, examples=40, beyond=BEYOND)
    answer = await ingest.ask("GET", "/metrics")
    assert answer is not None
    assert 'sentryml_ingest_requests_total{status="202"}' in answer.text
