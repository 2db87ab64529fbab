"""Whatever is asked, the notifier answers with its own words: never with a defect, and never by taking one of two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sentryml_common.http.paging import to_cursor
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.domain.delivery import SendResult
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.integration.notifier.test_openapi import CHANNEL, ROUTE, lived
from tests.support.hard_inputs import check_answers, doubled_fields, hard_requests
from tests.unit.notifier.builders import IDS, NIGHT, opened_critical

__all__ = ["api"]

SIGNING = "whsec_" + "A" * 44
NOBODY = str(IDS)
SECRETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "slack_webhook": ({"messages_per_second": 1.0, "burst": 3}, {"url": "https://hooks.slack.com/services/T/B/x"}),
    "slack_bot": (
        {"channel": "C0ALERTS", "channel_name": "alerts"},
        {"token": "xoxb-1", "signing_secret": "s", "app_token": "xapp-1"},
    ),
    "webhook": ({}, {"url": "https://example.com/x", "signing_secrets": [SIGNING]}),
    "email": (
        {"host": "mail.example.com", "port": 587, "tls": "tls", "sender": "a@b.org", "recipients": ["c@d.org"]},
        {"user": "u", "password": "p"},
    ),
    "apprise": ({}, {"url": "ntfys://topic"}),
}
NEW_CHANNELS = [
    {"name": f"new {kind}", "kind": kind, "settings": settings, "secret": secret}
    for kind, (settings, secret) in SECRETS.items()
]


def bodies_of(channel_id: str) -> dict[str, list[Any]]:
    """A right body for each route that takes one, with every field that it knows."""
    route = {
        "name": "hard", "channel_id": channel_id, "model_patterns": ["a-*"], "least_severity": "warn",
        "kinds": ["opened"], "enabled": True, "remind_after_seconds": 600, "remind_times": 3,
    }  # fmt: skip
    settings, secret = SECRETS["slack_webhook"]
    described = {"model_id": "flights-delay", "kind": "opened", "severity": "warn", "alert": True}
    return {
        "POST /v1/routes": [route],
        f"PUT {ROUTE}": [route],
        "POST /v1/routes:preview": [{"transition_id": NOBODY}, described],
        "POST /v1/channels": NEW_CHANNELS,
        f"PATCH {CHANNEL}": [{"name": "renamed", "settings": settings, "secret": secret}],
        f"PUT {CHANNEL}/fallback": [{"channel_id": channel_id}],
    }


async def ids_of(api: Api) -> dict[str, str]:
    made = await api.make_channel("hard", "https://hooks.slack.com/services/T/B/x")
    route = await api.make_route("hard", made["channel_id"], enabled=False)
    return {"channel_id": made["channel_id"], "route_id": route["route_id"], "delivery_id": NOBODY}


async def test_hard_values_anywhere_are_answered_in_words(world: World, api: Api) -> None:
    await lived(world, api)
    ids = await ids_of(api)
    cursors = {"/v1/changes": to_cursor(1), "/v1/deliveries": to_cursor((NIGHT.isoformat(), 1, NOBODY))}
    openapi = await api.ask("GET", "/openapi.json", 200)
    await check_answers(api.client, hard_requests(openapi, ids, bodies_of(ids["channel_id"]), cursors))


async def test_a_field_given_twice_is_refused_by_name(api: Api) -> None:
    ids = await ids_of(api)
    for operation, bodies in bodies_of(ids["channel_id"]).items():
        method, path = operation.split(" ")
        for body in bodies:
            for name, doubled in doubled_fields(body):
                problem = await api.ask(
                    method, path.format(**ids), 422, content=doubled, headers={"Content-Type": "application/json"}
                )
                assert problem["errors"] == [{"field": f"body.{name}", "reason": "is given twice: send it once"}]
    assert await api.texts() == [
        ("channel_made", "hard", "of the kind slack_webhook"), ("route_made", "hard", "leads to hard")
    ]  # fmt: skip


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_time_beyond_the_years_there_are_is_refused_by_name(api: Api, since: str) -> None:
    problem = await api.ask("GET", "/v1/deliveries", 422, params={"since": since})
    assert [each["field"] for each in problem["errors"]] == ["query.since"]


async def test_half_of_a_surrogate_pair_is_refused_by_name_and_not_echoed(api: Api) -> None:
    body = (
        b'{"name": "ops", "kind": "webhook", "secret": {"url": "https://a.example/", "signing_secrets": ["\\ud800"]}}'
    )
    headers = {"Content-Type": "application/json"}
    problem = await api.ask("POST", "/v1/channels", 422, content=body, headers=headers)
    (error,) = problem["errors"]
    assert error["field"] == "body.secret.signing_secrets.0"
    assert "surrogate" in error["reason"]


@pytest.mark.parametrize("field", ["token", "app_token"])
async def test_token_that_no_header_can_carry_is_refused(api: Api, field: str) -> None:
    settings, secret = SECRETS["slack_bot"]
    for wrong in (f"{secret[field]}é", f"{secret[field]}\nX: y", f"{secret[field]} "):
        body = {"name": "bot", "kind": "slack_bot", "settings": settings, "secret": {**secret, field: wrong}}
        problem = await api.ask("POST", "/v1/channels", 422, json=body)
        assert [each["field"] for each in problem["errors"]] == [f"secret.{field}"]


class Defective:
    """A channel with a defect."""

    async def send(self, outgoing: Outgoing) -> SendResult:
        raise RuntimeError("a defect")


async def test_defect_of_a_channel_ends_the_attempt_and_not_the_notifier(world: World, api: Api) -> None:
    await world.take_in(opened_critical())
    sound, world.channel = world.channel, replace(world.channel, channel=Defective())
    assert await world.dispatch() == 1
    (attempt,) = await world.attempts()
    assert (attempt["outcome"], attempt["reason"]) == ("uncertain", "defect")
    world.channel = sound
    world.clock.advance(1)
    assert await world.dispatch() == 1
    assert world.slack.titles == ["🔴 CRITICAL drift · flights-delay (repeat)"]
