"""Acting on an incident from elsewhere: signed by another service, judged as on the pages, answered in text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.internal.incident_action import PATH, ActOnIncident, IncidentAction
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.http.internal import signed_headers
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.people.users import disable_user
from sentryml_incidents.usecases.act_on_incident import act, everything
from sentryml_incidents.usecases.context import Context
from sentryml_lifecycle.events.on_action import Action
from tests.integration.incidents.conftest import PUBLIC_URL, Life, StillClock, add_user, app_on
from tests.unit.incidents.builders import MONDAY

SECRET = SecretStr("between us " * 4)
Press = Callable[..., Awaitable[dict[str, Any]]]


def asked_by(
    email: str, incident_id: UUID, sequence: int = 1, action: IncidentAction = IncidentAction.ACKNOWLEDGE
) -> ActOnIncident:
    return ActOnIncident(email=email, incident_id=incident_id, sequence=sequence, action=action, via="Slack")


@pytest.fixture
def context(pool: Pool, clock: StillClock) -> Context:
    return Context(PUBLIC_URL, clock, pool)


@pytest.fixture
async def client(context: Context) -> AsyncIterator[httpx.AsyncClient]:
    app = app_on(context, SECRET)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as made:
        yield made


@pytest.fixture
def press(client: httpx.AsyncClient, clock: StillClock) -> Press:
    """Asks as the notifier does; returns the answer."""

    async def ask(
        email: str, incident_id: UUID, sequence: int, action: IncidentAction = IncidentAction.ACKNOWLEDGE
    ) -> dict[str, Any]:
        body = encode(asked_by(email, incident_id, sequence, action))
        headers = signed_headers(SECRET, "POST", PATH, body, clock.now.timestamp())
        answer = await client.post(PATH, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return ask


@pytest.fixture
async def incident_id(life: Life, pool: Pool, clock: StillClock) -> UUID:
    await life.sees("ok", "warn")
    clock.now = MONDAY + timedelta(minutes=10)
    found: UUID = await pool.fetchval("SELECT incident_id FROM incident")
    return found


async def steps(pool: Pool) -> list[tuple[str, str, str | None]]:
    """The timeline: kind, who, note."""
    rows = await pool.fetch("SELECT kind, actor, note FROM transition ORDER BY sequence")
    return [(row["kind"], row["actor"]["name"], row["note"]) for row in rows]


async def test_a_responder_marks_it_and_the_timeline_says_from_where(
    pool: Pool, press: Press, incident_id: UUID
) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    answer = await press("ADA@example.org", incident_id, 1)
    assert answer["done"]
    assert "does not mute" in answer["text"]
    assert (await steps(pool))[1:] == [("acknowledged", "ada", "via Slack")]
    assert await press("ada@example.org", incident_id, 1) == answer, "a request sent again changes nothing"
    assert len(await steps(pool)) == 2


@pytest.mark.parametrize(
    ("action", "said", "cause"),
    [
        (IncidentAction.ACCEPT, "accepted the change as the new normal", "new_normal"),
        (IncidentAction.WAS_NORMAL, "said that this was normal", "was_normal"),
    ],
)
async def test_a_word_about_normal_closes_it_and_the_answer_says_how_to_undo(
    pool: Pool, press: Press, incident_id: UUID, action: IncidentAction, said: str, cause: str
) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    answer = await press("ada@example.org", incident_id, 1, action)
    assert answer["done"]
    assert answer["text"].startswith(f"You have {said}, which closed incident #1. It can be undone on its page until ")
    assert (await steps(pool))[1:] == [("closed", "ada", "via Slack")]
    assert await pool.fetchval("SELECT cause FROM transition WHERE sequence = 2") == cause
    assert await press("ada@example.org", incident_id, 1, action) == answer, "a request sent again changes nothing"
    assert len(await steps(pool)) == 2


async def test_the_other_word_about_normal_comes_too_late(pool: Pool, press: Press, incident_id: UUID) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    assert (await press("ada@example.org", incident_id, 1, IncidentAction.ACCEPT))["done"]
    answer = await press("ada@example.org", incident_id, 1, IncidentAction.WAS_NORMAL)
    assert not answer["done"]
    assert "it is closed now" in answer["text"]
    assert len(await steps(pool)) == 2


async def test_a_request_sent_again_after_it_was_undone_does_not_say_that_it_is_done(
    pool: Pool, press: Press, incident_id: UUID, context: Context
) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    assert (await press("ada@example.org", incident_id, 1, IncidentAction.ACCEPT))["done"]
    await act(context, SYSTEM, everything, str(incident_id), Action.UNDO)
    answer = await press("ada@example.org", incident_id, 1, IncidentAction.ACCEPT)
    assert not answer["done"]
    assert "it is open now" in answer["text"]


@pytest.mark.parametrize(
    ("account", "text"),
    [
        (None, "Nobody has an account"),
        ("viewer", "responder or admin; yours is viewer"),
        ("disabled", "is disabled"),
        ("new", "choose a password"),
    ],
)
async def test_who_may_not_is_given_the_reason(
    pool: Pool, press: Press, incident_id: UUID, account: str | None, text: str
) -> None:
    if account is not None:
        until = {"initial_password_until": MONDAY} if account == "new" else {}
        role = Role.VIEWER if account == "viewer" else Role.ADMIN
        user_id = await add_user(pool, "bob", role, **until)
        if account == "disabled":
            async with transaction(pool) as connection:
                await disable_user(connection, user_id, MONDAY)
    answer = await press("bob@example.org", incident_id, 1)
    assert not answer["done"]
    assert text in answer["text"]
    assert len(await steps(pool)) == 1


async def test_what_has_changed_is_to_be_read_again(pool: Pool, press: Press, life: Life, incident_id: UUID) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    await life.sees("critical")
    answer = await press("ada@example.org", incident_id, 1)
    assert not answer["done"]
    assert "it is open now, severity critical. Open it again to see its current state." in answer["text"]
    assert (await press("ada@example.org", incident_id, 2))["done"]


async def test_an_incident_that_is_not_there_is_reported(pool: Pool, press: Press) -> None:
    await add_user(pool, "ada", Role.RESPONDER)
    answer = await press("ada@example.org", UUID(int=7), 1)
    assert not answer["done"]
    assert answer["text"].startswith("There is no incident")


@pytest.mark.parametrize("secret", [None, SecretStr("another one" * 4)])
async def test_nobody_else_may_ask(
    client: httpx.AsyncClient, clock: StillClock, incident_id: UUID, secret: SecretStr | None
) -> None:
    asked = asked_by("ada@example.org", incident_id)
    headers = signed_headers(secret, "POST", PATH, encode(asked), clock.now.timestamp()) if secret else {}
    answer = await client.post(PATH, content=encode(asked), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("not-signed")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"team": "fraud"}, 200),
        ({"email": "a\0b"}, 422),
        ({"email": None}, 422),
        ({"sequence": 2**63}, 422),
        ({"action": "close"}, 422),
    ],
)
async def test_a_field_more_is_ignored_and_one_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, clock: StillClock, incident_id: UUID, changed: dict[str, Any], status: int
) -> None:
    asked = asked_by("ada@example.org", incident_id)
    body = json.dumps(json.loads(encode(asked)) | changed).encode()
    headers = signed_headers(SECRET, "POST", PATH, body, clock.now.timestamp())
    assert (await client.post(PATH, content=body, headers=headers)).status_code == status


async def test_without_a_secret_there_is_no_such_address(api: httpx.AsyncClient) -> None:
    assert (await api.post(PATH, content=b"{}")).status_code == 404
