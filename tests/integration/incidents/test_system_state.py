"""What stands still, asked by the notifier: signed, and one fault whatever the number of models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.internal.system_state import PATH, SystemState
from sentryml_common.contracts.message import decode
from sentryml_common.http.internal import signed_headers
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.usecases.context import Context
from tests.integration.incidents.conftest import PUBLIC_URL, Life, StillClock, app_on, register
from tests.unit.incidents.builders import an_evaluation, at, hearing, quick

SECRET = SecretStr("between us " * 4)


@pytest.fixture
async def client(pool: Pool, clock: StillClock) -> AsyncIterator[httpx.AsyncClient]:
    app = app_on(Context(PUBLIC_URL, clock, pool), SECRET)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as made:
        yield made


async def faults(client: httpx.AsyncClient, clock: StillClock) -> dict[str, str]:
    headers = signed_headers(SECRET, "GET", PATH, b"", clock.now.timestamp())
    answer = await client.get(PATH, headers=headers)
    assert answer.status_code == 200, answer.text
    state = decode(SystemState, answer.content)
    assert state.at == clock.now
    return {each.fault: f"{each.since:%H:%M}" for each in state.found}


async def test_a_dead_combiner_is_one_fault_and_a_dead_processor_another(
    client: httpx.AsyncClient, pool: Pool, clock: StillClock
) -> None:
    models = [f"model-{number}" for number in range(5)]
    for model_id in models:
        await register(pool, model_id, quick())
        await Life(pool, model_id).take(
            hearing(an_evaluation("ok", at(20)), "ok", 1, read_until=at(20)).model_copy(update={"model_id": model_id})
        )
    await pool.execute("UPDATE transition SET published_at = at")
    clock.now = at(21)
    assert await faults(client, clock) == {}
    for model_id in models:
        await Life(pool, model_id).take(
            hearing(an_evaluation("ok", at(31)), "ok", 1, read_until=at(20)).model_copy(update={"model_id": model_id})
        )
    clock.now = at(32)
    assert await faults(client, clock) == {"input_stalled": "09:35"}
    clock.now = at(60)
    assert await faults(client, clock) == {"input_stalled": "09:35", "evaluations_stalled": "09:46"}


async def test_steps_that_kafka_does_not_get_are_a_fault(
    client: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical")
    clock.now = at(3)
    assert await faults(client, clock) == {}
    clock.now = at(4)
    assert await faults(client, clock) == {"transitions_stalled": "09:16"}


async def test_nobody_else_is_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH)).status_code == 401
