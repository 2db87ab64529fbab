"""Every error of a service has the same form: an RFC 9457 problem."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.contracts.api_key import form_key
from sentryml_common.errors import Unavailable
from sentryml_common.http.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, Problem, install_problems


class Thing(BaseModel):
    """A body to validate."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=1)
    name: str


def example_app() -> FastAPI:
    app = FastAPI()
    install_problems(app)

    @app.get("/problem")
    async def problem() -> None:
        raise Problem(409, "out-of-date", "it has changed: read it again", headers={"ETag": '"7"'}, version=7)

    @app.get("/unavailable")
    async def away() -> None:
        raise Unavailable("PostgreSQL does not answer")

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Handle": "here"})

    @app.get("/defect")
    async def defect() -> None:
        raise RuntimeError("the secret is hunter2")

    @app.post("/things")
    async def things(thing: Thing) -> str:
        return thing.name

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(example_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as found:
        yield found


async def test_a_problem_has_its_type_title_status_detail_and_more(client: httpx.AsyncClient) -> None:
    answer = await client.get("/problem")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == MEDIA_TYPE == "application/problem+json"
    assert answer.headers["etag"] == '"7"'
    assert answer.json() == {
        "type": "urn:sentryml:problem:out-of-date",
        "title": "Conflict",
        "status": 409,
        "detail": "it has changed: read it again",
        "version": 7,
    }


async def test_a_server_that_is_away_is_503_with_a_time_to_try_again(client: httpx.AsyncClient) -> None:
    answer = await client.get("/unavailable")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == "urn:sentryml:problem:unavailable"
    assert answer.json()["detail"] == "PostgreSQL does not answer"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/things", 405, "method-not-allowed"),
        ("GET", "/teapot", 418, "i'm-a-teapot"),
    ],
)
async def test_the_frameworks_own_errors_are_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == f"urn:sentryml:problem:{kind}"
    assert answer.json()["status"] == status


async def test_headers_of_the_frameworks_errors_are_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/teapot")).headers["x-handle"] == "here"
    assert (await client.get("/things")).headers["allow"] == "POST"


async def test_a_request_that_does_not_validate_names_each_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", json={"size": 0})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert problem["type"] == "urn:sentryml:problem:invalid-request"
    assert problem["errors"] == [
        {"field": "body.size", "reason": "Input should be greater than or equal to 1"},
        {"field": "body.name", "reason": "Field required"},
    ]
    assert problem["detail"] == "body.size: Input should be greater than or equal to 1; body.name: Field required"


async def test_a_body_that_is_not_json_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"] == "JSON decode error"


async def test_a_body_that_is_not_even_text_is_the_same_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/things", content=b"\xff\xfe\xff", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, MEDIA_TYPE)
    assert answer.json()["errors"] == [{"field": "body", "reason": "is not JSON in UTF-8"}]


async def test_a_defect_is_a_problem_that_tells_nothing_of_the_inside(client: httpx.AsyncClient) -> None:
    answer = await client.get("/defect")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == "urn:sentryml:problem:internal-server-error"
    assert "hunter2" not in answer.text


async def test_a_key_that_got_into_a_request_is_not_echoed(client: httpx.AsyncClient) -> None:
    key = form_key("k7m2p9q4r1s8", "s" * 43)
    as_field = await client.post("/things", json={"size": 1, "name": "x", key: 1})
    as_value = await client.post("/things", json={"size": key, "name": "x"})
    in_text = Problem(404, "unknown-model", f"no model {key} has been seen", models=[key, "b"]).response()
    assert as_field.json()["errors"] == [
        {"field": "body.sml_k7m2p9q4r1s8_…", "reason": "Extra inputs are not permitted"}
    ]
    for text in (as_field.text, as_value.text, bytes(in_text.body).decode()):
        assert "s" * 43 not in text
    assert "no model sml_k7m2p9q4r1s8_… has been seen" in bytes(in_text.body).decode()
