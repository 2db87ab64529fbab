"""What a key for some models can find out about the others: nothing. Asked on every route that there is."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import httpx

from sentryml_common.contracts.api_key import Scope
from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import Life, MakeClient, register
from tests.unit.incidents.builders import quick

BODIES: dict[str, Any] = {
    "notes": {"note": "hello"},
    "markers": {"text": "hello"},
    "monitor": {"warn": 0.11},
    "monitor:preview": {"warn": 0.11},
}


async def routes_with(api: httpx.AsyncClient, parameter: str) -> list[tuple[str, str]]:
    """(method, path) of every route that has the parameter in its path."""
    paths = (await api.get("/openapi.json")).json()["paths"]
    found = [(method, path) for path, operations in paths.items() for method in operations if parameter in path]
    assert len(found) >= 4
    return found


async def reported(client: httpx.AsyncClient, method: str, path: str, value: str) -> tuple[int, str]:
    """The status and the words that answer a request, without what it named."""
    end = path.rpartition("/")[2]
    path = path.replace("{marker_id}", str(UUID(int=404)))
    answer = await client.request(
        method, re.sub(r"\{\w+\}", value, path), json=BODIES.get(end) if method != "get" else None
    )
    return answer.status_code, answer.text.replace(value, "…")


async def test_what_belongs_to_other_models_is_answered_as_if_it_did_not_exist(
    api: httpx.AsyncClient, client_with: MakeClient, pool: Pool
) -> None:
    for model_id in ("mine", "theirs"):
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees("critical")
    limited = await client_with(Scope.ADMIN, models=("mine",), name="limited")
    incidents = (await api.get("/v1/incidents?model=theirs")).json()["items"]
    for method, path in await routes_with(api, "{model_id}"):
        answers = [await reported(limited, method, path, model_id) for model_id in ("theirs", "missing")]
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] == 404, (method, path)
    for method, path in await routes_with(api, "{reference}"):
        for there, missing in (
            (str(incidents[0]["incident_number"]), "999"),
            (incidents[0]["incident_id"], str(UUID(int=404))),
        ):
            answers = [await reported(limited, method, path, reference) for reference in (there, missing)]
            assert answers[0] == answers[1], (method, path)
            assert answers[0][0] == 404, (method, path)
    assert [each["state"] for each in (await api.get("/v1/incidents")).json()["items"]] == ["open", "open"]


async def test_many_at_once_and_lists_tell_no_more(api: httpx.AsyncClient, client_with: MakeClient, pool: Pool) -> None:
    for model_id in ("mine", "theirs"):
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees("critical")
    limited = await client_with(Scope.ADMIN, models=("mine",), name="limited")
    body = {"action": "acknowledge", "incidents": [2, 999]}
    there, missing = (await limited.post("/v1/incidents:bulk", json=body)).json()["results"]
    assert (there["status"], there["incident"], there["etag"]) == (404, None, None)
    assert str(there).replace("2", "999") == str(missing)
    for path in ("incidents?model=theirs", "incidents?limit=1&model=theirs", "models?search=theirs"):
        assert (await limited.get(f"/v1/{path}")).json() == {"items": [], "next_cursor": None}
    for path in ("incidents", "models"):
        assert "theirs" not in (await limited.get(f"/v1/{path}")).text
