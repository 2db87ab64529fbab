"""Whatever is asked, incidents answers with its own words: never with a defect, and never by taking one of two."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from sentryml_common.http.paging import to_cursor
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.web import page_updates
from sentryml_incidents.web.models import detail as model_page
from sentryml_incidents.web.models import overview
from tests.integration.incidents.conftest import PASSWORD, PUBLIC_URL, SignedIn, StillClock, app_on
from tests.integration.incidents.test_forms import PARTS
from tests.integration.incidents.test_openapi import lived
from tests.integration.incidents.test_rest import problem
from tests.support.hard_inputs import INTEGERS, TEXTS, TIMES, check_answers, doubled_fields, hard_requests
from tests.support.signing_in import SAME_ORIGIN
from tests.unit.incidents.builders import MODEL, MONDAY

PAGES = (*PARTS, overview, model_page, page_updates)
NOBODY = "00000000-0000-0000-0000-000000000007"
KEY = "000000000000"
IDS = {"model_id": MODEL, "reference": "2", "key_id": KEY, "marker_id": NOBODY}
MONITOR = {"enabled": True, "signals": ["score"], "warn": 0.15, "critical": 0.3, "bins": 10, "version": 1}
BODIES: dict[str, list[Any]] = {
    "PUT /v1/models/{model_id}/monitor": [MONITOR],
    "POST /v1/models/{model_id}/monitor:preview": [MONITOR],
    "PUT /v1/models/{model_id}/reference": [
        {
            "events": 3,
            "score": {"numbers": [[0.5, 2]], "nulls": 1},
            "prediction": {"categories": {"late": 1}, "numbers": [[1, 1]], "nulls": 1},
        },
    ],
    **{
        f"POST /v1/incidents/{{reference}}/{action}": [{"note": "seen"}]
        for action in ("acknowledge", "unacknowledge", "close", "was-normal", "undo", "notes")
    },
    "POST /v1/incidents/{reference}/accept": [{"note": "seen", "since": "2026-11-23T09:17:00Z"}],
    "POST /v1/models/{model_id}/markers": [{"text": "deployed 2.3", "at": "2026-11-23T09:17:00Z"}],
    "POST /v1/incidents:bulk": [
        {"action": "note", "incidents": [1, {"incident": 2, "if_match": '"v1"'}], "note": "seen"},
    ],
    "POST /v1/api-keys": [
        {"name": "ci", "scopes": ["read"], "models": ["fraud-*"], "expires_at": "2027-11-23T09:15:00Z"}
    ],
    "POST /v1/api-keys/{key_id}/rotate": [{"overlap_seconds": 3600}],
}
CURSORS = {
    "/v1/incidents": to_cursor(3),
    "/v1/incidents/{reference}/timeline": to_cursor(1),
    "/v1/incidents/{reference}/deliveries": to_cursor((1, NOBODY)),
    "/v1/models": to_cursor("a"),
    "/v1/models/{model_id}/evaluations": to_cursor((MONDAY.isoformat(), NOBODY)),
    "/v1/models/{model_id}/monitor/versions": to_cursor(2),
    "/v1/models/{model_id}/markers": to_cursor((MONDAY.isoformat(), NOBODY)),
}


@pytest.fixture
async def client(api: httpx.AsyncClient, pool: Pool, clock: StillClock) -> AsyncIterator[httpx.AsyncClient]:
    """May do everything, and hears of every defect. A stream that is asked for ends after what was missed."""
    await lived(api, pool)
    stream = Hub(PUBLIC_URL, clock)
    stream.position = 0
    stream.close()
    app = app_on(Context(PUBLIC_URL, clock, pool, stream))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=PUBLIC_URL, headers=dict(api.headers)
    ) as found:
        yield found


async def test_hard_values_anywhere_are_answered_in_words(client: httpx.AsyncClient) -> None:
    openapi = (await client.get("/openapi.json")).json()
    await check_answers(client, hard_requests(openapi, IDS, BODIES, CURSORS))


async def test_a_field_given_twice_is_refused_by_name(client: httpx.AsyncClient, pool: Pool) -> None:
    before = await pool.fetchval("SELECT count(*) FROM transition")
    for operation, bodies in BODIES.items():
        method, path = operation.split(" ")
        for body in bodies:
            for name, doubled in doubled_fields(body):
                headers = {"Content-Type": "application/json"}
                answer = await client.request(method, path.format(**IDS), content=doubled, headers=headers)
                reported = await problem(answer, 422, "invalid-request")
                assert reported["errors"] == [{"field": f"body.{name}", "reason": "is given twice: send it once"}]
    assert await pool.fetchval("SELECT count(*) FROM transition") == before


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_beyond_the_years_there_are_is_refused_by_name(client: httpx.AsyncClient, time: str) -> None:
    listed = await client.get("/v1/incidents", params={"since": time})
    made = await client.post("/v1/api-keys", json={"name": "ci", "scopes": ["read"], "expires_at": time})
    for answer, field in ((listed, "query.since"), (made, "body.expires_at")):
        reported = await problem(answer, 422, "invalid-request")
        assert [each["field"] for each in reported["errors"]] == [field]


async def test_a_field_of_a_form_given_twice_is_refused_by_name(
    signed_in: SignedIn, anonymous: httpx.AsyncClient, client: httpx.AsyncClient, pool: Pool
) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    users, role = await pool.fetchval("SELECT count(*) FROM app_user"), ["viewer", "admin"]
    twice: list[tuple[str, dict[str, Any], str]] = [
        ("/users/add", {"email": "ben@example.org", "role": role}, "role"),
        ("/account/name", {"name": ["Ada", "Eve"]}, "name"),
        ("/incidents/2/acknowledge", {"seen": ['"v1"', '"v2"']}, "seen"),
        (f"/models/{MODEL}/monitor/save", {"version": "1", "warn": ["0.1", "0.2"]}, "warn"),
    ]
    for path, data, field in twice:
        answer = await ada.post(path, data=data, headers=SAME_ORIGIN)
        assert (answer.status_code, f"{field}: is given twice" in answer.text) == (422, True), path
    assert await pool.fetchval("SELECT count(*) FROM app_user") == users
    data = {"email": ["ada@example.org", "eve@example.org"], "password": PASSWORD}
    answer = await anonymous.post("/sign-in", data=data, headers=SAME_ORIGIN)
    assert (answer.status_code, "email: is given twice" in answer.text) == (422, True)


@pytest.mark.parametrize("value", [b"%00", b"a%00b", b"%ED%A0%80", b"%FF", "\u202ea".encode(), b"9" * 400])
async def test_hard_values_in_forms_are_answered_in_words(
    signed_in: SignedIn, client: httpx.AsyncClient, value: bytes
) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    forms = {
        "/account/name": ["name"],
        "/account/password": ["current", "new"],
        "/account/revoke": ["session"],
        "/users/add": ["email", "role"],
        "/keys/make": ["name", "models", "scopes", "days"],
        "/incidents/2/note": ["note", "seen"],
        "/incidents/bulk": ["do", "picked", "shown", "note"],
        f"/models/{MODEL}/monitor/save": ["version", "warn", "signals", "bins"],
        f"/models/{MODEL}/monitor/preview": ["version", "days", "min_samples"],
    }
    for path, fields in forms.items():
        for field in fields:
            right = {"seen": b"%22v1%22", "version": b"1", "days": b"7", "scopes": b"read", "name": b"x", "do": b"note"}
            data = b"&".join(name.encode() + b"=" + content for name, content in {**right, field: value}.items())
            headers = {**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
            answer = await ada.post(path, content=data, headers=headers)
            assert answer.status_code < 500, (path, field)


async def test_hard_values_in_addresses_of_pages_are_answered_in_words(
    signed_in: SignedIn, client: httpx.AsyncClient
) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    texts = [
        text for text in (*TEXTS, *TIMES, *map(str, INTEGERS)) if not "\ud800" <= max(text, default="") <= "\udfff"
    ]  # an address cannot carry the others
    texts += ["0001-01-01", "9999-12-31"]
    asked = 0
    for part in PAGES:
        for route in part.router.routes:
            if not isinstance(route, APIRoute) or "GET" not in route.methods:
                continue
            path = re.sub(r"\{(\w+)\}", lambda found: IDS.get(found[1], NOBODY), route.path)
            for name in [each.alias for each in route.dependant.query_params]:
                for text in texts:
                    answer = await ada.get(path, params={name: text})
                    assert answer.status_code < 500 or "/alerts" in path, (path, name, text)
                    asked += 1
    assert asked > 100


@pytest.mark.parametrize("path", ["/incidents/{}", "/models/{}", "/models/{}/monitor", "/users/{}", "/static/{}"])
async def test_hard_values_in_paths_of_pages_are_answered_in_words(
    signed_in: SignedIn, client: httpx.AsyncClient, path: str
) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    texts = "%00 a%00b %ED%A0%80 %FF %E2%80%AE 9223372036854775808 -1 %2e%2e a%2Fb 1%0A"
    for text in texts.split():
        answer = await ada.get(path.format(text))
        assert answer.status_code < 500, text
