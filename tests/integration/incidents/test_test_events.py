"""Test events that an admin sends with a key that was made just now, to a stand-in for ingest."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import httpx
import pytest

from sentryml_common.postgres.pool import Pool
from sentryml_incidents.clients.http_client import make_client
from sentryml_incidents.clients.ingest import Ingest, NotAccepted
from sentryml_incidents.store.models import find_model
from sentryml_incidents.usecases import send_test_event
from tests.integration.incidents.conftest import StillClock, register
from tests.integration.incidents.test_keys_page import WHOLE_KEY, post
from tests.integration.incidents.test_pages import text_of
from tests.support.ingest_stand_in import Received, Reply, StandIn, problem, stand_in
from tests.unit.incidents.builders import at, quick

UNKNOWN = problem(401, "unauthorized", "the API key is unknown, expired or revoked")


@pytest.fixture
def gateway() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture
async def ingest(gateway: StandIn) -> AsyncIterator[Ingest]:
    async with make_client() as client:
        yield Ingest(gateway.url, client)


async def made_key(admin: httpx.AsyncClient, **data: object) -> tuple[httpx.Response, str]:
    """The page that shows a new key, and the key."""
    page = await post(admin, "/keys/make", **{"name": "first", "scopes": ["events:write"], **data})
    (key,) = set(re.findall(WHOLE_KEY, page.text))
    return page, key


async def send(admin: httpx.AsyncClient, key: str, as_id: str | None = None) -> httpx.Response:
    return await post(admin, f"/keys/{as_id or key.split('_')[1]}/test-event", key=key)


async def test_a_new_key_comes_with_commands_that_hold_it(admin: httpx.AsyncClient) -> None:
    page, key = await made_key(admin, models="churn-* fraud")
    curl, python, kafka = re.findall(r'<pre class="command"[^>]*><code>(.*?)</code></pre>', page.text, re.DOTALL)
    assert key in curl
    assert key in python
    assert key not in kafka
    assert all("fraud" in each for each in (curl, python, kafka)), "a model that the key is good for"
    assert "--bootstrap-server kafka.example.org:9092 --topic sentryml.predictions.v1" in kafka
    reads, _ = await made_key(admin, scopes=["read"])
    assert "command" not in reads.text
    assert "test event" not in reads.text


async def test_a_test_event_is_sent_with_the_key_as_soon_as_ingest_knows_it_and_followed_until_it_is_counted(
    admin: httpx.AsyncClient, gateway: StandIn, pool: Pool, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(*_: object) -> object:
        """As if the processor had reported the model just now."""
        await register(pool, "sentryml-test", quick())
        await pool.execute("UPDATE model SET last_seen = $1", clock.now)
        async with pool.acquire() as connection:
            return await find_model(connection, "sentryml-test")

    monkeypatch.setattr(send_test_event, "find_model", counted)
    _, key = await made_key(admin)
    clock.now = at(90)
    gateway.replies.extend([UNKNOWN, Reply(202, {"accepted": 1})])
    page = await send(admin, key)
    assert re.search(
        r"The test event was accepted after [\d.]+ s and counted after [\d.]+ s: everything", text_of(page)
    )
    assert 'href="../../models/sentryml-test"' in page.text
    assert key in page.text, "the key and its commands are still there to be copied"
    _, request = gateway.received
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.body["model_id"] == "sentryml-test"
    assert datetime.fromisoformat(request.body["timestamp"]) == clock.now


async def test_what_goes_wrong_with_a_test_event_is_said_in_words(admin: httpx.AsyncClient, gateway: StandIn) -> None:
    _, key = await made_key(admin)

    def leaking(request: Received) -> Reply:
        return problem(503, "unavailable", f"Kafka does not take it; your key was {key}")

    gateway.answering = leaking
    page = text_of(await send(admin, key))
    assert "The test event was not accepted: ingest answers 503: Kafka does not take it; your key was sml_" in page
    gateway.answering = lambda _: Reply(202, {"accepted": 1})
    page = text_of(await send(admin, key))
    assert "so it is in Kafka and not lost, but it was not counted within" in page
    gateway.answering = lambda _: Reply(200, "hello")
    assert "it gives no reason: is there another program at its address?" in text_of(await send(admin, key))
    gateway.answering = lambda _: Reply(close=True)
    page = text_of(await send(admin, key))
    assert f"ingest does not answer at {gateway.url} (" in page
    assert "Its address is SENTRYML_INGEST_INTERNAL_URL of incidents" in page


async def test_a_test_event_needs_the_key_itself_and_a_model_of_its_own(
    admin: httpx.AsyncClient, gateway: StandIn
) -> None:
    _, key = await made_key(admin)
    _, other = await made_key(admin)
    for wrong in (other, "sml_x", "\x00", key[:-1]):
        answer = await send(admin, wrong, key.split("_")[1])
        assert answer.status_code == 422
        assert "This is not the key that was made" in text_of(answer)
        assert wrong == "\x00" or wrong not in answer.text
    page, named_in_full = await made_key(admin, models="fraud churn")
    assert "There is no test event for this key" in text_of(page)
    await send(admin, named_in_full)
    assert gateway.received == []


async def test_without_an_address_of_ingest_it_is_said_how_to_set_it() -> None:
    async with make_client() as client:
        with pytest.raises(NotAccepted, match="set SENTRYML_INGEST_URL of incidents"):
            await Ingest(None, client).send("sml_x", {})
