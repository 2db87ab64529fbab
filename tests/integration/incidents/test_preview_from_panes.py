"""A preview asks a real processor, and is by stored PSI, with the reason, when none answers."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation, Level
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.topics import MONITORS
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.clients.drift import NO_ADDRESS, NO_SECRET, Processors
from sentryml_incidents.clients.http_client import make_client
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.domain.api_keys import make_api_key
from sentryml_incidents.store.people.api_keys import insert_api_key
from sentryml_incidents.usecases.context import Context
from tests.integration.drift.conftest import StartPart, kafka, producer, start
from tests.integration.drift.test_recomputing import (
    FINE_SECONDS,
    MONITOR,
    SECRET,
    SETTINGS,
    by_events,
    events_of,
    published,
    recomputed,
    until_counted,
)
from tests.integration.incidents.conftest import PUBLIC_URL, app_on, register
from tests.support.eventually import eventually
from tests.support.frozen import frozen
from tests.support.own_kafka import OwnKafka
from tests.unit.incidents.builders import MODEL, an_evaluation

__all__ = ["kafka", "producer", "start"]

IN_FORCE = MONITOR | {"confirm_warn": 20, "warn": 0.19}
"""Only what is critical opens an incident."""
STORED = 3

Preview = Callable[..., Any]


@pytest.fixture
async def preview(pool: Pool) -> AsyncIterator[Preview]:
    """Previews of the model's monitor, by an application that asks these processors; of None, advice."""
    text, key = make_api_key("test", (Scope.READ,), (), None, bytes(48))
    async with transaction(pool) as connection:
        await insert_api_key(connection, key, SYSTEM, system_clock())
    async with make_client() as to_processors:

        async def ask(
            requested: dict[str, Any] | None,
            urls: tuple[str, ...],
            secret: SecretStr | None = SECRET,
            **how: Any,
        ) -> dict[str, Any]:
            processors = Processors(urls, secret, to_processors, **how)
            app = app_on(Context(PUBLIC_URL, pool=pool, processors=processors))
            headers = {"Authorization": f"Bearer {text}"}
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url=PUBLIC_URL, headers=headers
            ) as client:
                if requested is None:
                    answer = await client.get(f"/v1/models/{MODEL}/monitor/advice")
                else:
                    answer = await client.post(f"/v1/models/{MODEL}/monitor:preview", json=requested)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        yield ask


async def store(pool: Pool, *evaluations: Evaluation) -> None:
    await EvaluationConsumer(pool, MonitorSettings()).take_all(list(evaluations))


async def test_a_preview_is_computed_from_panes_as_far_as_they_reach(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, pool: Pool, preview: Preview
) -> None:
    in_force = Monitor(model_id=MODEL, version=1, **IN_FORCE)
    await register(pool, MODEL, MonitorSettings(**IN_FORCE))
    await producer.send_and_wait(MONITORS.name, encode(in_force), key=MODEL.encode())
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    worker = start("processor", **SETTINGS)
    await worker.until_ready()
    events = await events_of(producer, MODEL)
    since = await until_counted(kafka, MODEL)

    async def enough() -> list[Evaluation]:
        found = await published(kafka, MODEL, since)
        return list(found.values()) if len(found) >= STORED else []

    await store(pool, *await eventually(enough, what="evaluations of all events"))
    changed = {"bins": 5, "every_seconds": 4}
    found = await preview(changed, (worker.url,))
    assert (found["basis"], found["approximate_because"]) == ("panes", [])
    assert found["recomputed"] == found["evaluations"] > STORED
    assert found["from"] == found["recomputed_from"]
    assert "older panes are no longer kept" in found["stored_psi_because"]
    assert found["exact"] > found["approximate"]
    assert {each["signal"] for each in found["sensitivity"]} == {"score", "prediction"}
    assert all(each["smallest_shift"] >= IN_FORCE["warn"] for each in found["sensitivity"])

    advice = await preview(None, (worker.url,))
    rows = {str(each["settings"]): each for each in advice["rows"]}
    other = rows["{'current_seconds': 40.0}"]
    assert (other["basis"], other["would_be"]["incidents"]) == ("panes", 1)
    assert {each["signal"] for each in other["smallest_shifts"]} == {"score", "prediction"}
    reasons = {str(each["settings"]): each["because"] for each in advice["not_tried"]}
    longer = "{'baseline_seconds': 200.0}"  # tried only where a busy machine has kept panes for longer than it has to
    assert longer in rows or reasons[longer] == "too little of what its windows need is kept"

    monitor = Monitor(model_id=MODEL, version=1, **IN_FORCE | changed)
    all_of_them = (await recomputed(worker, monitor, since - timedelta(days=1))).evaluations
    critical = [
        each.evaluation.evaluated_at
        for each in all_of_them
        if by_events(monitor, each.evaluation, events).level is Level.CRITICAL
    ]
    assert found["preview"]["incident_count"] == 1
    assert datetime.fromisoformat(found["preview"]["incidents"][0]["opened_at"]) == min(critical)

    long_ago = [an_evaluation("ok", since - timedelta(hours=2, minutes=minute)) for minute in (3, 2, 1)]
    await pool.execute("UPDATE monitor SET last_evaluated_at = NULL")
    await store(pool, *long_ago)
    found = await preview({"bins": 5}, (worker.url,))
    assert found["basis"] == "panes_and_stored_psi"
    assert found["evaluations"] == found["recomputed"] + len(long_ago)
    assert found["approximate_because"] == ["bins"]
    assert datetime.fromisoformat(found["from"]) == long_ago[0].evaluated_at
    assert datetime.fromisoformat(found["recomputed_from"]) > long_ago[-1].evaluated_at

    unchanged = await preview({}, (worker.url,))
    assert (unchanged["basis"], unchanged["recomputed"], unchanged["recomputed_from"]) == ("stored_psi", 0, None)
    assert unchanged["exact"] == unchanged["evaluations"]
    assert unchanged["preview"] == unchanged["in_force"]
    assert unchanged["stored_psi_because"] == "these are the settings in force: it is what was found"

    long_over = {"revision": 2, "excluded": [_interval(since - timedelta(hours=1))]}
    await pool.execute("UPDATE monitor SET normal_time = $1", long_over)
    around = await preview(changed, (worker.url,))
    assert around["recomputed"] > 0
    assert around["exact"] == 0, "when it was known that older drift had ended is unknown, so nothing is exact"

    for urls, secret, why in (
        ((), SECRET, NO_ADDRESS),
        ((worker.url,), None, NO_SECRET),
        ((worker.url,), SecretStr("x" * 32), "a processor answers 401: the signature is invalid"),
    ):
        by_stored_psi(await preview({"bins": 5}, urls, secret), why)
    with frozen(worker.process.pid):
        unanswered = await preview({"bins": 5}, (worker.url,), answer_seconds=0.5)
    by_stored_psi(unanswered, "a processor has not answered in time")
    assert await worker.end(signal.SIGTERM) == 0
    by_stored_psi(await preview({"bins": 5}, (worker.url,)), "a processor does not answer (ConnectError)")


def _interval(start: datetime) -> dict[str, str]:
    times = {"start": start, "confirmed_at": start + timedelta(seconds=30), "end": start + timedelta(minutes=2)}
    return {name: time.isoformat() for name, time in times.items()}


def by_stored_psi(found: dict[str, Any], why: str) -> None:
    """A preview is by stored PSI, and says why."""
    assert (found["basis"], found["recomputed"], found["recomputed_from"]) == ("stored_psi", 0, None)
    assert found["approximate"] == found["evaluations"] > STORED
    assert found["sensitivity"] == []
    assert why in found["stored_psi_because"]
