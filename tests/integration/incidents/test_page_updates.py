"""`GET /live` through a real server on a real PostgreSQL: a page is notified of changes, and of their end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from html import unescape
from uuid import uuid5

import httpx
import pytest

from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.deliveries import DeliveryConsumer
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from sentryml_incidents.streaming import hub as module
from sentryml_incidents.streaming import subscribers
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.web.people.session import BACKGROUND, cookie_name
from tests.integration.incidents.conftest import PUBLIC_URL, Life, SignedIn, StillClock, app_on
from tests.integration.incidents.stream_clients import at_work, serving
from tests.integration.incidents.test_deliveries import IDS, a_delivery
from tests.integration.incidents.test_model_pages import an_activity
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.unit.incidents.builders import MODEL, at, quick

MODEL_PAGE = f"/models/{MODEL}"


class OpenPage:
    """A page as a browser holds it: loaded, and following what its stream says."""

    def __init__(self, url: str, path: str, cookie: str) -> None:
        self._client = http_client(url, headers={"Cookie": cookie}, timeout=None)
        self._path, self.reported = path, list[str]()
        self.task: asyncio.Task[None] | None = None

    async def load(self) -> OpenPage:
        page = (await self._client.get(self._path)).raise_for_status()
        found = re.search(r'data-since="([^"]*)".* data-stream="([^"]+)"', page.text)
        assert found is not None, page.text
        self.text = unescape(page.text)
        self._since, self._stream = found[1], page.url.join(unescape(found[2]))
        return self

    def follow(self) -> None:
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._client.stream("GET", f"{self._stream}&since={self._since}") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert "content-encoding" not in answer.headers
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    self.reported.append(line.removeprefix("event: "))

    async def until(self, event: str, count: int = 1) -> None:
        async def reported() -> bool:
            return self.reported.count(event) >= count

        await eventually(reported, what=f"{count} × {event} on {self._path}")

    async def first(self) -> str:
        """The first that it receives."""

        async def reported() -> bool:
            return bool(self.reported)

        await eventually(reported, what=f"anything on {self._path}")
        return self.reported[0]

    async def ended(self) -> list[str]:
        """What it received, once its stream has ended."""
        assert self.task is not None
        async with asyncio.timeout(60):
            await self.task
        return self.reported

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await self.task
        await self._client.aclose()


Open = Callable[..., Awaitable[OpenPage]]


@pytest.fixture
def hub(clock: StillClock, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub of the service, which polls often here."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(subscribers, "PAUSE_SECONDS", 0.02)
    return Hub(PUBLIC_URL, clock)


@pytest.fixture
async def url(pool: Pool, clock: StillClock, hub: Hub) -> AsyncIterator[str]:
    """A server of the whole application, with its hub at work."""
    app = app_on(Context(PUBLIC_URL, clock, pool, hub, ingest_url="https://events.example.org"))
    async with at_work(hub, pool), serving(app, hub.close) as address:
        yield address


@pytest.fixture
async def open_page(url: str, signed_in: SignedIn) -> AsyncIterator[Open]:
    """Opens pages; each person has one session."""
    pages, cookies = list[OpenPage](), dict[str, str]()

    async def make(path: str, who: str = "vera", follows: str | None = "live") -> OpenPage:
        """Load it; follow it until the first that it receives is `follows`."""
        if who not in cookies:
            name = cookie_name(PUBLIC_URL)
            cookies[who] = f"{name}={(await signed_in(who)).cookies[name]}"
        pages.append(OpenPage(url, path, cookies[who]))
        await pages[-1].load()
        if follows is not None:
            pages[-1].follow()
            await pages[-1].until(follows)
        return pages[-1]

    yield make
    for page in pages:
        await page.close()


async def test_every_page_is_notified_of_what_it_shows(open_page: Open, life: Life, hub: Hub) -> None:
    await life.sees("critical")

    async def received() -> bool:
        return hub.position == 1

    await eventually(received, what="the hub to have received the incident")
    overview, model, incidents, incident = [
        await open_page(path) for path in ("/models", MODEL_PAGE, "/incidents", "/incidents/1")
    ]
    await life.sees("critical")  # an evaluation without a step
    for page in (model, incident, overview):
        await page.until("changed")
    assert incidents.reported == ["live"]
    await life.sees("warn")
    await incidents.until("changed")


async def test_deliveries_reach_the_incident_and_the_list(
    open_page: Open, life: Life, pool: Pool, api: httpx.AsyncClient
) -> None:
    await life.sees("critical")
    pages = [await open_page(path) for path in ("/incidents", "/incidents/1")]
    incident_id = (await api.get("/v1/incidents/1")).json()["incident_id"]
    reported = a_delivery(incident_id=incident_id, delivery_id=uuid5(IDS, "live"))
    await DeliveryConsumer(pool).take_all([reported.model_copy(update={"model_id": MODEL})])
    for page in pages:
        await page.until("changed")


async def test_the_first_event_of_the_first_model_reaches_an_empty_overview(open_page: Open, pool: Pool) -> None:
    page = await open_page("/models")
    assert 'curl -X POST "https://events.example.org/v1/events"' in page.text
    await ActivityConsumer(pool, quick()).take_all([an_activity("first")])
    await page.until("changed")


async def test_activity_reaches_the_models_page_and_the_overview(
    open_page: Open, pool: Pool, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = ActivityConsumer(pool, quick())
    await consumer.take_all([an_activity("first")])
    model, overview = await open_page(MODEL_PAGE), await open_page("/models")
    later = 0

    async def reported() -> bool:
        """The first poll of the hub only takes note of how it is, so activity goes on here as it does."""
        nonlocal later
        later += 1
        await consumer.take_all([an_activity("next").model_copy(update={"at": at(60 + later)})])
        return "changed" in model.reported and "changed" in overview.reported

    await eventually(reported, what="both pages to be notified")


async def test_pages_that_say_what_is_missing_change_though_nothing_happens(
    open_page: Open, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.sees("ok")
    model, overview, incidents = [await open_page(path) for path in (MODEL_PAGE, "/models", "/incidents")]
    monkeypatch.setattr(module, "CHECKS_UNTIL_BY_TIME", 1)
    await model.until("changed")
    await overview.until("changed")
    assert "changed" not in incidents.reported


async def test_what_happened_before_the_stream_was_open_is_reported(open_page: Open, life: Life) -> None:
    page = await open_page(MODEL_PAGE, follows=None)
    await life.sees("critical")
    page.follow()
    await page.until("changed")


@pytest.mark.parametrize("how", ["revoked", "disabled", "idle"])
async def test_a_session_that_is_over_ends_its_pages_and_no_others(
    open_page: Open, pool: Pool, clock: StillClock, life: Life, how: str
) -> None:
    page = await open_page("/models")
    if how == "revoked":
        other = await open_page("/models", "otto")
        await pool.execute(
            "DELETE FROM session USING app_user WHERE name = 'vera' AND app_user.user_id = session.user_id"
        )
        assert (await page.ended())[-1] == "signed-out"
        await life.sees("critical")
        await other.until("changed")
        return
    if how == "disabled":
        await pool.execute("UPDATE app_user SET disabled_at = now()")
    else:
        clock.now = at(12 * 60)
    assert (await page.ended())[-1] == "signed-out"


async def test_who_is_not_signed_in_learns_so_and_nothing_else(url: str) -> None:
    async with http_client(url) as client:
        for cookie in ("", f"{cookie_name(PUBLIC_URL)}={'A' * 43}"):
            answer = await client.get("/live?on=overview", headers={"Cookie": cookie})
            assert answer.text.split() == ["event:", "signed-out", "data:", "-"]
            assert (await client.get("/live", headers={"Cookie": cookie})).status_code == 422
        refused = await client.get("/live?on=overview", headers={"Authorization": "Bearer sml_x"})
        assert "signed-out" in refused.text


async def test_a_page_too_many_learns_so(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_OF_SESSION_MAX", 1)
    first, other = await open_page("/models"), await open_page("/models", "otto")
    assert await (await open_page("/models", follows="full")).ended() == ["full"]
    assert first.reported == other.reported == ["live"]
    await first.close()

    async def let_in() -> bool:
        page = await open_page("/models", follows=None)
        page.follow()
        return await page.first() == "live"

    await eventually(let_in, what="room for another")


async def test_a_page_that_fetches_itself_does_not_keep_its_session(
    reader: httpx.AsyncClient, pool: Pool, clock: StillClock
) -> None:
    clock.now = at(5)
    await reader.get("/models", headers={BACKGROUND: "1"})
    assert await pool.fetchval("SELECT last_seen_at FROM session") == at(0)
    await reader.get("/models")
    assert await pool.fetchval("SELECT last_seen_at FROM session") == at(5)
