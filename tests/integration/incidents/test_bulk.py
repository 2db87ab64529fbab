"""One action on many incidents, through the real application on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, MakeClient, register
from tests.integration.incidents.test_rest import problem
from tests.unit.incidents.builders import quick


async def three(pool: Pool) -> None:
    """#1 open of a, #2 open of b, #3 resolved of c."""
    for model_id, grades in {"a": ["critical"], "b": ["warn"], "c": ["warn", "ok"]}.items():
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees(*grades)


async def bulk(api: httpx.AsyncClient, action: str, incidents: list[Any], **more: Any) -> list[dict[str, Any]]:
    answer = await api.post("/v1/incidents:bulk", json={"action": action, "incidents": incidents, **more})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def test_each_has_a_result_of_its_own_in_the_order_asked(api: httpx.AsyncClient, pool: Pool) -> None:
    await three(pool)
    incident_id = (await api.get("/v1/incidents/1")).json()["incident_id"]
    results = await bulk(api, "close", [3, "99", 2, incident_id], note="all quiet")
    assert [(each["reference"], each["status"]) for each in results] == [
        ("3", 200),
        ("99", 404),
        ("2", 409),
        (incident_id, 409),
    ]
    assert (results[0]["incident"]["state"], results[0]["etag"], results[0]["problem"]) == ("closed", '"v3"', None)
    assert results[2]["problem"]["allowed"] == ["acknowledge", "accept", "was-normal", "note"]
    assert results[2]["incident"] is None
    assert (await api.get("/v1/incidents/3/timeline")).json()["items"][-1]["note"] == "all quiet"


async def test_what_has_moved_on_is_left_alone(api: httpx.AsyncClient, pool: Pool) -> None:
    await three(pool)
    seen = [{"incident": 1, "if_match": '"v1"'}, {"incident": 3, "if_match": '"v1"'}, 2]
    results = await bulk(api, "acknowledge", seen)
    assert [(each["status"], each["etag"]) for each in results] == [(200, '"v2"'), (412, '"v2"'), (200, '"v2"')]
    assert results[1]["problem"]["incident"]["state"] == "resolved"
    again = await bulk(api, "acknowledge", seen)
    assert [each["status"] for each in again] == [200, 412, 200]


async def test_a_key_for_some_models_acts_on_those(client_with: MakeClient, pool: Pool) -> None:
    await three(pool)
    client = await client_with(Scope.WRITE, models=("b",))
    results = await bulk(client, "note", [1, 2], note="seen")
    assert [each["status"] for each in results] == [404, 200]
    reader = await client_with(Scope.READ, name="reader")
    refused = await reader.post("/v1/incidents:bulk", json={"action": "close", "incidents": [1]})
    await problem(refused, 403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"action": "acknowledge", "incidents": []},
        {"action": "acknowledge", "incidents": [1, "1"]},
        {"action": "acknowledge", "incidents": [1, {"incident": 1, "if_match": '"v1"'}]},
        {"action": "acknowledge", "incidents": list(range(1, 502))},
        {"action": "acknowledge", "incidents": [True]},
        {"action": "reopen", "incidents": [1]},
        {"action": "note", "incidents": [1]},
        {"action": "note", "incidents": [1], "note": " "},
        {"action": "acknowledge", "incidents": [1], "severity": "warn"},
    ],
)
async def test_what_means_nothing_is_422_and_does_nothing(api: httpx.AsyncClient, pool: Pool, body: Any) -> None:
    await three(pool)
    await problem(await api.post("/v1/incidents:bulk", json=body), 422, "invalid-request")
    assert (await api.get("/v1/incidents/1")).json()["sequence"] == 1
