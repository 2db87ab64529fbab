"""What every answer of every service has: headers that no route has to think of, and no way to another host."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Response

from sentryml_common.health import Health
from sentryml_common.http.health import health_routes
from sentryml_common.http.problems import install_problems


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.get("/v1/things")
    async def things(size: int = 1) -> int:
        return 1 // size

    @app.get("/v1/kept")
    async def kept() -> Response:
        return Response(status_code=304, headers={"Cache-Control": "private, max-age=60"})

    app.include_router(health_routes(Health()))
    install_problems(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/things", 200),
        ("GET", "/v1/things?size=x", 422),
        ("GET", "/v1/things?size=0", 500),
        ("POST", "/v1/things", 405),
        ("GET", "/v1/nothing", 404),
    ],
)
async def test_no_answer_of_the_api_is_kept_or_taken_for_anything_else(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers.get_list("Cache-Control") == ["no-store"]
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]


async def test_what_a_route_says_itself_stays(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/kept")
    assert answer.headers.get_list("Cache-Control") == ["private, max-age=60"]
    health = await client.get("/livez")
    assert (health.headers["X-Content-Type-Options"], "Cache-Control" in health.headers) == ("nosniff", False)


@pytest.mark.parametrize("path", ["/v1/things/", "/livez/", "//v1/things", "/v1/things//"])
async def test_nobody_is_led_to_the_host_that_a_request_names(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(
        httpx.URL(scheme="http", host="test", raw_path=path.encode()), headers={"Host": "evil.example"}
    )
    assert (answer.status_code, answer.headers.get("location")) == (404, None)
