"""Deleting a model: confirmed, reported, freed everywhere, and not brought back by what was still on its way."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import MONITORS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.evaluations import ActivityConsumer, EvaluationConsumer
from sentryml_incidents.outboxes import outboxes
from sentryml_incidents.timer import Timer
from sentryml_lifecycle.decision import Outcome
from tests.integration.incidents.conftest import PUBLIC_URL, Life, MakeClient, StillClock
from tests.integration.incidents.test_relay import Log, relay
from tests.integration.incidents.test_rest import problem
from tests.unit.incidents.builders import MODEL, an_activity, an_evaluation, at, quick

PATH = f"/v1/models/{MODEL}"
DELETED_AT = at(30)


async def delete(api: httpx.AsyncClient) -> dict[str, Any]:
    """Both steps; what the first one said."""
    offered = await problem(await api.delete(PATH), 409, "confirmation-needed")
    answer = await api.delete(PATH, params={"confirmation": offered["confirmation"]})
    assert (answer.status_code, answer.content) == (204, b"")
    return offered


@pytest.fixture
async def drifting(pool: Pool, life: Life, clock: StillClock) -> Life:
    """A model with activity, three evaluations, a live incident; it is 9:45."""
    await ActivityConsumer(pool, quick()).take_all([an_activity(when=at(2))])
    await life.sees("ok", "critical", "critical")
    clock.now = DELETED_AT
    return life


def activity(last_seen_minute: float, when_minute: float | None = None) -> Activity:
    """Activity of a model that was last seen then."""
    when = at(last_seen_minute if when_minute is None else when_minute)
    return an_activity(when=when).model_copy(update={"last_seen": at(last_seen_minute)})


async def count(pool: Pool, table: str) -> int:
    found: int = await pool.fetchval(f"SELECT count(*) FROM {table} WHERE model_id = $1", MODEL)
    return found


async def test_without_a_confirmation_nothing_is_lost(api: httpx.AsyncClient, drifting: Life) -> None:
    offered = await problem(await api.delete(PATH), 409, "confirmation-needed")
    assert (offered["evaluations"], offered["incidents"], offered["live_incident"]) == (3, 1, 1)
    assert offered["expires_at"] == "2026-11-23T09:55:00+00:00"
    assert "cannot be undone" in offered["detail"]
    assert offered["confirmation"] in offered["detail"]
    assert (await api.get(PATH)).status_code == 200


async def test_a_confirmation_is_void_after_its_time_or_after_any_change(
    api: httpx.AsyncClient, drifting: Life, clock: StillClock
) -> None:
    given = (await api.delete(PATH)).json()["confirmation"]
    await api.put(f"{PATH}/monitor", json={"warn": 0.11})
    body = await problem(await api.delete(PATH, params={"confirmation": given}), 409, "confirmation-needed")
    assert "has changed since" in body["detail"]
    clock.now += timedelta(minutes=10)
    given = body["confirmation"]
    body = await problem(await api.delete(PATH, params={"confirmation": given}), 409, "confirmation-needed")
    assert "older than 10 minutes" in body["detail"]
    assert (await api.get(PATH)).status_code == 200


async def test_only_an_admin_may(client_with: MakeClient, drifting: Life) -> None:
    await problem(await (await client_with(Scope.WRITE)).delete(PATH), 403, "forbidden")
    await problem(await (await client_with(Scope.ADMIN, models=("fraud-*",))).delete(PATH), 404, "unknown-model")


async def test_the_incident_ends_visibly_and_stays_readable(
    api: httpx.AsyncClient, reader: httpx.AsyncClient, drifting: Life, pool: Pool
) -> None:
    await delete(api)
    incident = (await api.get("/v1/incidents/1")).json()
    assert (incident["state"], incident["closed_at"], incident["allowed"]) == ("closed", "2026-11-23T09:45:00Z", [])
    assert incident["model_deleted_at"] == "2026-11-23T09:45:00Z"
    assert (await api.get("/v1/incidents", params={"model": MODEL})).json()["items"] == [incident]
    step = (await api.get("/v1/incidents/1/timeline")).json()["items"][-1]
    assert (step["kind"], step["cause"], step["alert"], step["actor"]["name"]) == (
        "closed", "model_deleted", True, "ana's key",
    )  # fmt: skip
    assert (await api.get("/v1/incidents/1/evidence")).status_code == 200
    await problem(await api.post("/v1/incidents/1/notes", json={"note": "x"}), 409, "model-deleted")
    for page in ("/incidents", "/incidents/1"):
        assert "model deleted" in (await reader.get(page)).text


async def test_everything_else_is_freed(api: httpx.AsyncClient, drifting: Life, pool: Pool, clock: StillClock) -> None:
    await api.put(f"{PATH}/monitor", params={"managed_by": "monitors/late.yaml"}, json={"warn": 0.1})
    await delete(api)
    await Timer(pool, 90, clock).tick()
    for table in ("monitor", "managed_monitor", "activity", "latest_evaluation", "evaluation"):
        assert await count(pool, table) == 0, table
    assert (await api.get("/v1/models")).json()["items"] == []
    for path in ("", "/monitor", "/monitor/versions", "/evaluations", "/activity"):
        await problem(await api.get(PATH + path), 404, "unknown-model")
    await problem(await api.put(f"{PATH}/monitor", json={}), 404, "unknown-model")
    await problem(await api.delete(PATH), 404, "unknown-model")


async def test_the_end_of_the_incident_leaves_before_the_tombstone(
    api: httpx.AsyncClient, drifting: Life, pool: Pool
) -> None:
    await delete(api)
    log = Log(random.Random(1))
    await relay(pool, log).publish_all()
    steps = [decode(Transition, record.value) for record in log.of(TRANSITIONS)[MODEL]]
    assert (steps[-1].kind, steps[-1].cause) == ("closed", "model_deleted")
    first, held, last = log.of(MONITORS)[MODEL]
    assert [decode(Monitor, each.value).normal_time.drift_lasts for each in (first, held)] == [False, True]
    assert last.value is None
    assert log.records.index(last) > log.records.index(log.of(TRANSITIONS)[MODEL][-1])


async def test_a_tombstone_waits_for_the_transitions(api: httpx.AsyncClient, drifting: Life, pool: Pool) -> None:
    await delete(api)
    log = Log(random.Random(1))
    publishing = relay(pool, log)
    monitors = next(box for box in outboxes(PUBLIC_URL).boxes if box.topic == MONITORS.name)
    while await publishing._publish_some(monitors):
        pass
    deletions = [record.value is None for record in log.of(MONITORS)[MODEL]]
    assert deletions == [False, False], "the end has not been published yet"
    await publishing.publish_all()
    assert [record.value is None for record in log.of(MONITORS)[MODEL]] == [False, False, True]


async def test_what_was_on_its_way_brings_nothing_back(api: httpx.AsyncClient, drifting: Life, pool: Pool) -> None:
    await delete(api)
    (taken,) = await EvaluationConsumer(pool, quick()).take_all([an_evaluation("critical", at(31))])
    assert taken.outcome is Outcome.MODEL_DELETED
    # seen before it was deleted; reported before, by a sender whose clock is ahead
    await ActivityConsumer(pool, quick()).take_all([activity(29, when_minute=31)])
    await ActivityConsumer(pool, quick()).take_all([activity(33, when_minute=29.9)])
    await problem(await api.get(PATH), 404, "unknown-model")
    assert [await count(pool, table) for table in ("monitor", "activity", "latest_evaluation")] == [0, 0, 0]
    assert (await api.get("/v1/incidents")).json()["items"][0]["incident_number"] == 1


async def test_new_events_register_it_again(api: httpx.AsyncClient, drifting: Life, pool: Pool) -> None:
    await delete(api)
    consumers = [ActivityConsumer(pool, quick()) for _ in range(4)]
    await asyncio.gather(*(each.take_all([activity(32)]) for each in consumers))
    model = (await api.get(PATH)).json()
    assert (model["first_seen"], model["last_seen"]) == ("2026-11-23T09:45:00Z", "2026-11-23T09:47:00Z")
    assert (model["incident"], model["latest_evaluation"]) == (None, None)
    assert (model["monitor"]["version"], model["monitor"]["kept_since"]) == (3, "2026-11-23T09:45:00Z")
    assert (await api.get(f"{PATH}/evaluations")).json()["items"] == [], "those of before are hidden until gone"
    entries = (await api.get(f"{PATH}/monitor/versions")).json()["items"]
    assert [each["changes"] for each in entries] == [
        "the model was registered again",
        "the model was deleted",
        "the model was registered",
    ]
    log = Log(random.Random(1))
    await relay(pool, log).publish_all()
    assert decode(Monitor, log.of(MONITORS)[MODEL][-1].value).version == 3


async def test_the_new_model_starts_clean(api: httpx.AsyncClient, drifting: Life, pool: Pool) -> None:
    await delete(api)
    await ActivityConsumer(pool, quick()).take_all([activity(32)])
    (late,) = await EvaluationConsumer(pool, quick()).take_all([an_evaluation("critical", at(33), version=1)])
    assert late.outcome is Outcome.MODEL_DELETED
    drifting.minute, drifting.version = 34, 3
    await drifting.sees("critical")
    new, old = (await api.get("/v1/incidents")).json()["items"]
    assert (new["state"], new["previous_incident_id"], new["model_deleted_at"]) == ("open", None, None)
    assert (old["state"], old["model_deleted_at"]) == ("closed", "2026-11-23T09:45:00Z")
    assert len((await api.get(f"{PATH}/evaluations")).json()["items"]) == 1
    offered = await problem(await api.delete(PATH), 409, "confirmation-needed")
    assert offered["incidents"] == 1, "those of the model before are not counted again"
