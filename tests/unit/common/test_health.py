"""Alive is that the process answers; ready is that nothing is waited for, and what is waited for is said."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from sentryml_common.health import Health
from sentryml_common.http.health import health_routes
from sentryml_common.metrics import CONSUMED_TOTAL


def client_of(health: Health) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(health_routes(health))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def test_a_service_starts_out_waiting_for_its_start() -> None:
    assert list(Health().waiting_for) == ["start"]


def test_what_is_waited_for_is_kept_by_name_until_it_is_there() -> None:
    health = Health()
    health.ready("start")
    health.waiting("kafka", "connecting")
    health.waiting("kafka", "does not answer")
    health.waiting("postgres", "connecting")
    assert health.waiting_for == {"kafka": "does not answer", "postgres": "connecting"}
    health.ready("kafka")
    health.ready("never waited for")
    assert health.waiting_for == {"postgres": "connecting"}


def test_nobody_else_changes_what_is_waited_for() -> None:
    health = Health()
    health.waiting_for.clear()
    assert health.waiting_for


async def test_livez_answers_whatever_is_waited_for() -> None:
    async with client_of(Health()) as client:
        answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_readyz_says_what_is_waited_for() -> None:
    health = Health()
    async with client_of(health) as client:
        health.waiting("kafka", "127.0.0.1:9092 does not answer")
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "waiting_for": {"start": "starting", "kafka": "127.0.0.1:9092 does not answer"},
        }
        health.ready("start")
        health.ready("kafka")
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "waiting_for": {}})


async def test_metrics_are_in_the_prometheus_form() -> None:
    CONSUMED_TOTAL.labels(topic="example").inc()
    async with client_of(Health()) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE sentryml_consumed_total counter" in answer.text
    assert 'sentryml_consumed_total{topic="example"} 1.0' in answer.text


async def test_the_routes_are_no_part_of_the_public_interface() -> None:
    app = FastAPI()
    app.include_router(health_routes(Health()))
    assert app.openapi()["paths"] == {}


async def test_readyz_tells_details_and_is_ready_all_the_same() -> None:
    health = Health()
    health.ready("start")
    async with client_of(health) as client:
        health.details("broken_channels", {"slack": "archived"})
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["broken_channels"]) == (200, {"slack": "archived"})
        health.details("broken_channels", {})
        assert "broken_channels" not in (await client.get("/readyz")).json()
