"""`GET /v1/stream` through real servers on a real PostgreSQL: no gap, no repetition, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Connection, Pool
from sentryml_incidents.api import stream as route
from sentryml_incidents.store.snapshots import Change, lock_snapshot, save_changes
from sentryml_incidents.streaming import hub as module
from sentryml_incidents.streaming import subscribers
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.usecases.context import Context
from sentryml_lifecycle.state_machine import Evaluated, decide
from tests.integration.incidents.conftest import PUBLIC_URL, Life, MakeClient, StillClock, app_on, register
from tests.integration.incidents.stream_clients import Follower, at_work, serving
from tests.support.eventually import eventually
from tests.unit.incidents.builders import MODEL, an_evaluation, at, quick

Replica = Callable[[], Awaitable[str]]


@asynccontextmanager
async def an_app(pool: Pool, clock: StillClock) -> AsyncIterator[tuple[FastAPI, Hub]]:
    """A process's application with its hub running."""
    hub = Hub(PUBLIC_URL, clock)
    app = app_on(Context(PUBLIC_URL, clock, pool, hub))
    async with at_work(hub, pool):
        yield app, hub


@pytest.fixture
async def replica(pool: Pool, clock: StillClock) -> AsyncIterator[Replica]:
    """Start replicas of the service; the address of each."""
    async with AsyncExitStack() as stack:

        async def start() -> str:
            app, hub = await stack.enter_async_context(an_app(pool, clock))
            return await stack.enter_async_context(serving(app, hub.close))

        yield start


async def follower(client: httpx.AsyncClient, url: str, last_id: str | None = None, **params: Any) -> Follower:
    """Somebody with the key of `client` who follows."""
    headers = {"Authorization": client.headers["Authorization"]}
    return await Follower(url, headers, last_id).start(**params)


async def decide_on(connection: Connection, model_id: str, grade: str, minute: float) -> None:
    """One evaluation in the caller's transaction."""
    snapshot = await lock_snapshot(connection, model_id)
    assert snapshot is not None
    evaluation = an_evaluation(grade, at(minute), model_id=model_id)
    decision = decide(snapshot, Evaluated(evaluation), evaluation.evaluated_at)
    await save_changes(connection, [Change(snapshot, decision, evaluation)])


async def test_what_happens_is_reported_as_it_happens(api: httpx.AsyncClient, pool: Pool, replica: Replica) -> None:
    client = await follower(api, await replica())
    await register(pool, MODEL, quick())
    await Life(pool).sees("critical")
    (step,) = await client.until(1)
    assert [step] == (await api.get("/v1/incidents/1/timeline")).json()["items"]
    Transition.model_validate(step)
    assert (await client.until(1, "model"))[0]["model_id"] == MODEL
    (evaluation,) = await client.until(1, "evaluation")
    assert (evaluation["model_id"], evaluation["level"], evaluation["psi"]) == (MODEL, "critical", 0.5)
    assert evaluation["evaluated_at"] == "2026-11-23T09:16:00Z"
    await client.stop()


async def test_filters_and_keys_narrow_what_is_reported(
    api: httpx.AsyncClient, client_with: MakeClient, pool: Pool, replica: Replica
) -> None:
    url = await replica()
    fraud = await client_with(Scope.READ, name="fraud", models=("fraud-*",))
    clients = [
        await follower(api, url),
        await follower(fraud, url),
        await follower(api, url, model="fraud-eu"),
        await follower(api, url, kind="transition"),
    ]
    for model_id in (MODEL, "fraud-eu", "fraud-us"):
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees("critical")
    await clients[0].until(3)
    await asyncio.gather(*(each.until(count) for each, count in zip(clients, (3, 2, 1, 3), strict=True)))
    assert {data["model_id"] for _, _, data in clients[1].events} == {"fraud-eu", "fraud-us"}
    assert {data["model_id"] for _, _, data in clients[2].events} == {"fraud-eu"}
    assert {kind for kind, _, _ in clients[3].events} == {"transition"}
    for each in clients:
        await each.stop()


async def test_what_was_missed_comes_first_from_any_replica(
    api: httpx.AsyncClient, life: Life, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "PAGE_ROWS", 2)
    first, second = await replica(), await replica()
    client = await follower(api, first)
    await life.sees("warn")
    await client.until(1)
    await client.stop()
    await life.sees("critical", "ok", "critical", "ok")
    client.url = second
    await client.start()
    await life.sees("critical")
    steps = await client.until(6)
    assert [step["sequence"] for step in steps] == [1, 2, 3, 4, 5, 6]
    await client.stop()


async def test_who_was_greeted_only_can_resume(api: httpx.AsyncClient, life: Life, replica: Replica) -> None:
    url = await replica()
    # Until the hub has reported what has happened, a newcomer hears of it too.
    earlier = await follower(api, url)
    await life.sees("warn")
    await earlier.until(1)
    await earlier.until(1, "evaluation")
    client = await follower(api, url)
    await client.stop()
    assert client.events == []
    await life.sees("critical")
    await client.start()
    assert [step["kind"] for step in await client.until(1)] == ["escalated"]
    await client.stop()
    await earlier.stop()


async def test_an_early_position_that_is_committed_late_is_reported(
    api: httpx.AsyncClient, pool: Pool, replica: Replica
) -> None:
    """The order of the stream is that of commits, so that nobody's last id is ahead of what is to come."""
    for model_id in ("early", "late"):
        await register(pool, model_id, quick())
    url = await replica()
    client = await follower(api, url)
    async with pool.acquire() as connection, connection.transaction():
        await decide_on(connection, "early", "critical", 1)
        await Life(pool, model_id="late").sees("critical")
        await client.until(1)
        await client.stop()
    await client.start()
    assert [step["model_id"] for step in await client.until(2)] == ["late", "early"]
    positions = await pool.fetch("SELECT model_id FROM transition ORDER BY position")
    assert [row["model_id"] for row in positions] == ["early", "late"]
    await client.stop()


async def test_many_writers_two_replicas_and_clients_that_come_and_go(
    api: httpx.AsyncClient, pool: Pool, replica: Replica
) -> None:
    """Transactions end in any order, some not at all; each client reconnects all the time, now here, now there."""
    rng, models, rounds = random.Random(7), [f"m{number}" for number in range(4)], 12
    for model_id in models:
        await register(pool, model_id, quick())
    urls = [await replica(), await replica()]

    async def write(model_id: str) -> None:
        for minute in range(rounds):
            async with pool.acquire() as connection:
                change = connection.transaction()
                await change.start()
                await decide_on(connection, model_id, ("critical", "warn")[minute % 2], minute)
                await asyncio.sleep(rng.random() / 20)
                await change.commit()
                doomed = connection.transaction()
                await doomed.start()
                await decide_on(connection, model_id, ("warn", "critical")[minute % 2], minute + 0.5)
                await doomed.rollback()

    async def come_and_go(client: Follower, done: asyncio.Event) -> None:
        while not done.is_set():
            await asyncio.sleep(rng.random() / 10)
            await client.stop()
            client.url = rng.choice(urls)
            await client.start()

    clients, done = [await follower(api, url, kind="transition") for url in urls * 2], asyncio.Event()
    going = [asyncio.create_task(come_and_go(client, done)) for client in clients]
    await asyncio.gather(*map(write, models))
    done.set()
    await asyncio.gather(*going)
    requested = [str(row["transition_id"]) for row in await pool.fetch("SELECT transition_id FROM transition")]
    assert len(requested) == rounds * len(models)
    for client in clients:
        steps = await client.until(len(requested))
        assert sorted(step["transition_id"] for step in steps) == sorted(requested)
        sequences = defaultdict(list)
        for step in steps:
            sequences[step["model_id"]].append(step["sequence"])
        assert all(found == list(range(1, rounds + 1)) for found in sequences.values())
        assert [step["transition_id"] for step in steps] == [
            each["transition_id"] for each in clients[0].of("transition")
        ]
        await client.stop()


@pytest.mark.parametrize("last_id", ["x", "-1", "1000", "9" * 40, "01", "1 OR 1"])
async def test_an_id_that_cannot_be_resumed_says_so_and_goes_on(
    api: httpx.AsyncClient, life: Life, replica: Replica, last_id: str
) -> None:
    await life.sees("warn")
    client = await follower(api, await replica(), last_id)
    assert "read the lists again" in (await client.until(1, "resync"))[0]["reason"]
    await life.sees("critical")
    assert [step["kind"] for step in await client.until(1)] == ["escalated"]
    await client.stop()


async def test_postgres_that_cuts_every_connection_leaves_no_gap(
    api: httpx.AsyncClient, life: Life, pool: Pool, replica: Replica, postgres_url: str
) -> None:
    client = await follower(api, await replica())
    await life.sees("critical")
    await client.until(1)
    cut = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
    """
    async with pool.acquire() as connection:
        assert await connection.fetchval(cut) >= 1
    await life.sees("warn", "critical")
    assert [step["sequence"] for step in await client.until(3)] == [1, 2, 3]
    assert client.task is not None
    assert not client.task.done()
    await client.stop()


async def test_who_does_not_listen_holds_up_nobody_and_misses_nothing(
    api: httpx.AsyncClient, life: Life, pool: Pool, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes nothing after the greeting: its stream ends, and what it resumes with is whole."""
    monkeypatch.setattr(subscribers, "MOST_WAITING", 3)
    async with an_app(pool, clock) as (app, hub), serving(app, hub.close) as url:
        taken, released = [], asyncio.Event()

        async def send(message: Any) -> None:
            taken.append(message)
            if len(taken) > 2:  # the start, the greeting
                await released.wait()

        asking = asyncio.create_task(app(scope_of(api), asyncio.Event().wait, send))
        quick_one = await follower(api, url, kind="transition")
        for number, level in enumerate(["critical", "warn"] * 5, start=1):
            await life.sees(level)
            assert len(await quick_one.until(number)) == number  # it never falls behind
        released.set()
        await asking
        sent = [message["body"] for message in taken if b"event: transition" in message.get("body", b"")]
        assert 1 <= len(sent) < 10
        last_id = sent[-1].decode().rpartition("id: ")[2].strip()
        rest = await follower(api, url, last_id, kind="transition")
        steps = await rest.until(10 - len(sent))
        assert [step["sequence"] for step in steps] == list(range(len(sent) + 1, 11))
        for each in (quick_one, rest):
            await each.stop()


def scope_of(api: httpx.AsyncClient) -> dict[str, Any]:
    authorization = api.headers["Authorization"].encode()
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/v1/stream", "raw_path": b"/v1/stream", "query_string": b"kind=transition",
        "root_path": "", "headers": [(b"authorization", authorization)], "server": ("test", 80), "client": ("test", 1),
    }  # fmt: skip


async def test_many_clients_cost_one_reading_of_each_commit(
    life: Life, pool: Pool, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken by the commit alone: nobody polls here."""
    readings, read = [], module.read_stream

    async def counted(*args: Any, **how: Any) -> Any:
        readings.append(how["after"])
        return await read(*args, **how)

    monkeypatch.setattr(module, "read_stream", counted)
    monkeypatch.setattr(module, "POLL_SECONDS", 600.0)
    async with an_app(pool, clock) as (_, hub):
        clients = [hub.follow("key", lambda event: event.number is not None) for _ in range(200)]
        before = len(readings)
        for number in range(1, 6):
            await life.sees("critical" if number % 2 else "warn")
            for client in clients:
                (event,) = await client.take(60)
                assert event.number == number
        assert len(readings) - before <= 2 * 5


async def test_a_heartbeat_brings_an_id_past_what_was_not_for_the_client(
    client_with: MakeClient, life: Life, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "HEARTBEAT_SECONDS", 0.05)
    other = await client_with(Scope.READ, models=("fraud-*",))
    client = await follower(other, await replica())
    assert client.last_id == "0"
    await life.sees("critical")

    async def moved_on() -> bool:
        return client.last_id == "1"

    await eventually(moved_on, what="a heartbeat with the new id")
    assert client.events == []
    await client.stop()


async def test_a_key_that_is_revoked_follows_no_more(
    api: httpx.AsyncClient, client_with: MakeClient, replica: Replica, pool: Pool
) -> None:
    url = await replica()
    client, stays = await follower(await client_with(Scope.READ, name="gone"), url), await follower(api, url)
    key_id = await pool.fetchval("SELECT key_id FROM api_key WHERE name = 'gone'")
    assert (await api.delete(f"/v1/api-keys/{key_id}")).status_code == 204
    await client.ended()
    assert stays.task is not None
    assert not stays.task.done()
    await stays.stop()


async def test_before_the_stream_has_begun_it_is_503(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/stream")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
