"""Somebody clicks a button in Slack: over HTTP and by Socket Mode, with the real incidents service behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from sentryml_common.contracts.internal.incident_action import IncidentAction
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.people.users import disable_user
from sentryml_local.slack_stand_in.button_clicks import NoButton, signed
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.sockets import Sockets, open_sockets
from sentryml_notifier.http.slack_actions import MOST_BODY_BYTES
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.slack.socket_mode import SocketMode
from tests.integration.incidents.conftest import add_user
from tests.integration.notifier.slack_office import (
    ACCEPT,
    ACKNOWLEDGE,
    ADA,
    EVE,
    PUBLIC_URL,
    SECRET,
    SIGNING,
    WAS_NORMAL,
    Office,
    incidents_pool,
    office,
)
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.unit.incidents.builders import MONDAY

__all__ = ["incidents_pool", "office"]


async def test_a_press_marks_it_as_seen_and_the_message_says_by_whom(office: Office) -> None:
    answer = await office.press()
    assert (answer.status_code, answer.content) == (200, b"")
    reported = await office.reported()
    assert "You have acknowledged incident" in reported
    assert "does not mute" in reported
    assert f"{PUBLIC_URL}/incidents/1" in reported
    assert await office.steps() == [("opened", "SentryML"), ("acknowledged", "ada")]
    await office.relay()
    assert as_text(office.root.payload).startswith("🟠 Warning: drift, acknowledged by ada · flights-delay")
    with pytest.raises(NoButton):
        office.payload()
    assert office.payload(action=ACCEPT)["actions"][0]["value"].endswith(":2")


@pytest.mark.parametrize(
    ("action", "title", "said"),
    [
        (ACCEPT, "Closed: new normal", "ada accepted the change as the new normal"),
        (WAS_NORMAL, "Closed: was normal", "ada said that this was normal"),
    ],
)
async def test_a_word_about_normal_closes_the_incident_and_the_message_loses_its_buttons(
    office: Office, action: str, title: str, said: str
) -> None:
    await office.press(action=action)
    reported = await office.reported()
    assert "which closed incident #1. It can be undone on its page until" in reported
    assert f"{PUBLIC_URL}/incidents/1" in reported
    assert await office.steps() == [("opened", "SentryML"), ("closed", "ada")]
    await office.relay()
    root = as_text(office.root.payload)
    assert title in root.split("\n")[0]
    assert "[" not in root
    (reply,) = office.world.slack.workspace.replies(office.root)
    assert said in as_text(reply.payload)
    assert "This closing can be undone until" in as_text(reply.payload)


async def test_an_acknowledged_incident_still_takes_a_word_about_normal(office: Office) -> None:
    await office.press()
    await office.reported()
    await office.relay()
    await office.press(action=WAS_NORMAL)
    await office.reported(count=2)
    assert (await office.steps())[-1] == ("closed", "ada")


@pytest.mark.parametrize("action", [ACKNOWLEDGE, ACCEPT, WAS_NORMAL])
async def test_a_refused_click_gets_the_reason(office: Office, action: str) -> None:
    await office.press(EVE, action=action)
    assert "Nobody has an account" in await office.reported(EVE)
    await add_user(office.life.pool, "eve", Role.VIEWER)
    await office.press(EVE, action=action)
    assert "yours is viewer" in await office.reported(EVE, 2)
    await office.life.sees("critical")
    await office.press(action=action)
    assert "severity critical. Open it again to see its current state." in await office.reported()
    assert [kind for kind, _ in await office.steps()] == ["opened", "escalated"]


async def test_a_request_that_is_sent_again_changes_nothing(office: Office) -> None:
    body, headers = signed(office.payload(), SIGNING, office.world.clock.now.timestamp())
    for count in (1, 2):
        assert (await office.post(body, headers)).status_code == 200
        assert "You have acknowledged incident" in await office.reported(count=count)
    assert len(await office.steps()) == 2


@pytest.mark.parametrize("age_seconds", [-301, 301, 86_400])
async def test_an_old_request_is_refused(office: Office, age_seconds: float) -> None:
    assert (await office.press(age_seconds=age_seconds)).status_code == 401
    assert len(await office.steps()) == 1


async def test_a_forged_request_is_refused(office: Office) -> None:
    assert (await office.press(secret="guessed")).status_code == 401
    body, headers = signed(office.payload(EVE), SIGNING, office.world.clock.now.timestamp())
    for forged in (
        (body.replace(EVE.encode(), ADA.encode()), headers),
        (body, headers | {"X-Slack-Signature": "v0=" + "0" * 64}),
        (body, headers | {"X-Slack-Request-Timestamp": "now"}),
        (body, headers | {"X-Slack-Request-Timestamp": "9" * 400}),
        (b"payload=\xff\xfe", headers),
        (body, {}),
    ):
        refused = await office.post(*forged)
        assert refused.status_code == 401
        assert refused.json()["type"].endswith("not-signed-by-slack")
    latin = {**headers, "X-Slack-Signature": "v0=ä".encode("latin-1")}
    assert (await office.post(body, latin)).status_code == 401  # type: ignore[arg-type]
    assert (await office.post(b"x" * (MOST_BODY_BYTES + 1), headers)).status_code == 413
    assert len(await office.steps()) == 1
    assert all(each.only_for is None for each in office.world.slack.workspace.messages)


async def test_what_is_no_press_of_ours_is_taken_and_left(office: Office) -> None:
    now = office.world.clock.now.timestamp()
    press = office.payload()
    strange = [
        {},
        {"type": "view_submission"},
        press | {"actions": []},
        press | {"actions": [{"action_id": "other", "value": "x"}]},
        press | {"actions": [press["actions"][0] | {"value": "1:1"}]},
        press | {"user": None},
        press | {"channel": {"id": "../x"}},
    ]
    for payload in strange:
        assert (await office.post(*signed(payload, SIGNING, now))).status_code == 200
    assert (await office.press()).status_code == 200
    await office.reported()
    assert len(await office.steps()) == 2, "the one real press, and no other"


async def test_somebody_without_an_account_learns_so(office: Office) -> None:
    await office.press(EVE)
    reported = await office.reported(EVE)
    assert "Nobody has an account of SentryML with your address here, eve@example.org." in reported
    assert f"{PUBLIC_URL}/incidents/1" in reported
    assert len(await office.steps()) == 1


async def test_a_viewer_and_a_disabled_account_are_given_the_reason(office: Office) -> None:
    user_id = await add_user(office.life.pool, "eve", Role.VIEWER)
    await office.press(EVE)
    assert "This needs the role responder or admin; yours is viewer." in await office.reported(EVE)
    async with transaction(office.life.pool) as connection:
        await disable_user(connection, user_id, MONDAY)
    await office.press(EVE)
    assert "disabled" in await office.reported(EVE, 2)
    assert len(await office.steps()) == 1


async def test_what_got_worse_meanwhile_is_to_be_read_again(office: Office) -> None:
    await office.life.sees("critical")
    await office.press()
    assert "severity critical. Open it again to see its current state." in await office.reported()
    assert len(await office.steps()) == 2


async def test_without_the_scope_for_addresses_people_are_reported(office: Office) -> None:
    workspace = office.world.slack.workspace
    workspace.scopes -= {"users:read.email"}
    await office.press()
    assert "cannot see your address" in await office.reported()
    workspace.scopes -= {"users:read"}
    await office.press()
    assert "users:read.email" in await office.reported(count=2)


async def test_people_of_another_workspace_are_nobody_here(office: Office) -> None:
    office.world.slack.workspace.homes[EVE] = "T0ELSEWHERE"
    office.world.slack.workspace.emails[EVE] = "ada@example.org"
    await office.press(EVE)
    assert "members of this Slack workspace alone" in await office.reported(EVE)
    assert len(await office.steps()) == 1


async def test_when_incidents_does_not_answer_people_are_reported(office: Office, incidents_pool: Pool) -> None:
    asked = Incidents("http://127.0.0.1:1", SECRET, http_client(), office.world.clock)
    click = ("ada@example.org", IncidentAction.ACCEPT, UUID(int=1), 1)
    assert not (await asked.act(*click)).done
    other = Incidents(asked.url, None, asked.client, asked.clock)
    assert "SENTRYML_INTERNAL_SECRET" in (await other.act(*click)).text


@pytest.fixture
async def sockets(office: Office) -> AsyncIterator[Sockets]:
    """Socket Mode, connected."""
    async with open_sockets(office.world.slack.workspace) as opened:
        authority = (office.world.slack.workspace.socket_url or "").split("/")[2]
        registry = office.world.registry(None, office.world.given)
        await registry.read()
        running = asyncio.create_task(SocketMode(registry, office.interactions, frozenset({authority})).run())
        yield opened
        running.cancel()
        await asyncio.wait({running})


async def test_a_press_comes_by_socket_mode_without_an_open_port(office: Office, sockets: Sockets) -> None:
    await sockets.send(office.payload())
    assert "You have acknowledged incident" in await office.reported()
    assert await office.steps() == [("opened", "SentryML"), ("acknowledged", "ada")]


async def test_socket_mode_connects_again_when_asked_to_and_when_cut_off(office: Office, sockets: Sockets) -> None:
    await sockets.send({})
    await sockets.ask_to_reconnect()
    await sockets.send({})
    await sockets.cut()
    await sockets.send(office.payload())
    assert "You have acknowledged incident" in await office.reported()


async def test_socket_mode_goes_to_no_address_but_slacks(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_sockets(office.world.slack.workspace) as opened:
        registry = office.world.registry(None, office.world.given)
        await registry.read()
        running = asyncio.create_task(SocketMode(registry, office.interactions, frozenset()).run())

        async def asked() -> object:
            return [each for each in office.world.slack.api.calls if each.method == "apps.connections.open"]

        async def refused() -> object:
            return "not Slack's own" in capsys.readouterr().out

        await eventually(asked, what="a call for an address")
        await eventually(refused, what="a refusal in the log")
        running.cancel()
        await asyncio.wait({running})
        assert opened.connected == []
