"""Channels over HTTP: made, fixed, deleted, served at once; their secrets in no answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from sentryml_common.contracts.api_key import Scope
from sentryml_common.health import Health
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.delivery.auditor import measure
from sentryml_notifier.secrets import SecretBox
from tests.integration.notifier.api_client import SECRET_BOX_KEY, Api, api
from tests.integration.notifier.conftest import World
from tests.support.eventually import eventually
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn

__all__ = ["api"]

SECRET = "https://hooks.slack.com/services/T0AAAA/B0BBBB/verysecretverysecret"
MISSING = "00000000-0000-4000-8000-000000000000"


@asynccontextmanager
async def dispatching(world: World, api: Api) -> AsyncIterator[None]:
    """The dispatcher runs on the channels of the application."""
    dispatcher = world.dispatcher(registry=api.context.channels())
    api.context.wake = dispatcher.wake
    task = asyncio.create_task(dispatcher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def delivered(world: World, channel_id: str, count: int = 1) -> None:
    async def enough() -> bool:
        found: int = await world.pool.fetchval(
            "SELECT count(*) FROM delivery WHERE channel_id = $1 AND state = 'delivered'", UUID(channel_id)
        )
        return found >= count

    await eventually(enough, what=f"{count} deliveries on the channel")


UNHEARD_OF = "0f0c3c1e-7a50-4a01-8f29-9d0c1d0a7c2f"


async def test_channel_is_made_and_served_at_once(world: World, api: Api) -> None:
    async with dispatching(world, api):
        made = await api.make_channel("ops", world.slack.address)
        assert (made["secret_hint"], made["secret_setting"], made["state"]) == ("…/B0…/****", None, "active")
        await api.make_route("ops", made["channel_id"])
        await world.take_in(opened_critical())
        await delivered(world, made["channel_id"])
    assert await api.texts() == [
        ("channel_made", "ops", "of the kind slack_webhook"),
        ("route_made", "ops", "leads to ops"),
    ]


async def test_kinds_of_channels_describe_themselves(api: Api) -> None:
    viewer = api.key("readtest0000", Scope.READ)
    kinds = {each["name"]: each for each in (await api.ask("GET", "/v1/channel-kinds", 200, headers=viewer))["items"]}
    assert list(kinds) == list(KINDS)
    bot, mail = kinds["slack_bot"], kinds["email"]
    assert (bot["threads"], bot["edits"], bot["buttons"]) == (True, True, True)
    assert (mail["title"], mail["threads"], mail["edits"]) == ("E-mail", True, False)
    assert [name for name, kind in kinds.items() if not kind["for_people"]] == ["pagerduty", "alertmanager", "webhook"]
    assert mail["settings"]["properties"]["recipients"]["title"] == "To"
    for kind in kinds.values():
        assert not ["writeOnly" for field in kind["settings"]["properties"].values() if "writeOnly" in field]
        assert all(field["writeOnly"] for field in kind["secret"]["properties"].values())
    await api.ask("GET", "/v1/channel-kinds", 401, headers={"Authorization": ""})


async def test_who_serves_channels_is_notified_of_every_change(world: World, api: Api) -> None:
    registry = api.context.channels()
    made = await api.make_channel("ops", SECRET)
    path = f"/v1/channels/{made['channel_id']}"
    for method, status, how in (("PATCH", 200, {"json": {"name": "new"}}), ("DELETE", 204, {})):
        assert registry.changed.is_set()
        registry.changed.clear()
        await api.ask(method, path, status, **how)
    assert registry.changed.is_set()


async def test_secret_is_encrypted_and_in_no_answer(world: World, api: Api) -> None:
    made = await api.make_channel("ops", SECRET)
    sealed = await world.pool.fetchval("SELECT secret FROM channel WHERE name = 'ops'")
    assert SecretBox([SECRET_BOX_KEY]).open(sealed) == {"url": SECRET}
    other = SECRET.replace("very", "most")
    changed = await api.ask("PATCH", f"/v1/channels/{made['channel_id']}", 200, json={"secret": {"url": other}})
    shown = [made, changed, await api.ask("GET", "/v1/channels", 200), await api.ask("GET", "/v1/changes", 200)]
    assert "secretverysecret" not in str(shown)
    assert ("secret_replaced", "ops", "the secret was replaced") in await api.texts()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": "Input should be", "kind": "known are alertmanager"}),
        ({"name": "ops", "kind": SECRET}, {"kind": "known are"}),
        ({"name": SECRET, "kind": "slack_webhook", "secret": {"url": SECRET}}, {"name": "String should"}),
        ({"name": "slack", "kind": "slack_webhook", "secret": {"url": SECRET}}, {"name": "WEBHOOK_URL"}),
        ({"name": "ops", "kind": "slack_webhook"}, {"secret.url": "required"}),
        ({"name": "ops", "kind": "slack_webhook", "secret": SECRET}, {"secret": "dictionary"}),
        ({"name": "ops", "kind": "slack_webhook", "secret": {SECRET: "url"}}, {"secret": "known are url"}),
        (
            {"name": "ops", "kind": "slack_webhook", "settings": {SECRET: 1}, "secret": {"url": SECRET}},
            {"settings": "known are messages_per_second"},
        ),
        ({"name": "ops", "kind": "slack_webhook", SECRET: 1, "secret": {"url": SECRET}}, {"body": "known are name"}),
        (
            {"name": "ops", "kind": "slack_webhook", "secret": {"url": SECRET.replace("hooks", "evil")}},
            {"settings, secret": "SENTRYML_ALLOWED_HOSTS"},
        ),
        ({"name": "ops", "kind": "slack_webhook", "secret": {"url": SECRET + "\0"}}, {"secret": ""}),
    ],
)
async def test_channel_that_cannot_be_is_refused_by_field_and_no_value_is_echoed(
    world: World, api: Api, body: dict[str, Any], errors: dict[str, str]
) -> None:
    problem = await api.ask("POST", "/v1/channels", 422, json=body)
    assert problem["type"] == "urn:sentryml:problem:invalid-channel"
    reasons = {error["field"]: error["reason"] for error in problem["errors"]}
    assert set(errors) <= set(reasons)
    assert all(part in reasons[field] for field, part in errors.items()), reasons
    assert "verysecret" not in str(problem)
    assert len((await api.ask("GET", "/v1/channels", 200))["items"]) == 1


async def test_without_a_key_no_secret_is_taken(world: World, api: Api) -> None:
    api.context.secret_box = SecretBox([])
    body = {"name": "ops", "kind": "slack_webhook", "secret": {"url": SECRET}}
    problem = await api.ask("POST", "/v1/channels", 409, json=body)
    assert problem["type"] == "urn:sentryml:problem:no-secrets-key"
    assert "openssl rand -hex 32" in problem["detail"]


async def test_secret_that_no_key_opens_must_be_entered_again(world: World, api: Api) -> None:
    made = await api.make_channel("ops", SECRET)
    api.context.secret_box = SecretBox(["x" * 32])
    path = f"/v1/channels/{made['channel_id']}"
    assert "Put it back" in (await api.ask("PATCH", path, 409, json={"name": "new"}))["detail"]
    await api.ask("PATCH", path, 200, json={"name": "new", "secret": {"url": SECRET}})


async def test_fixed_channel_sends_what_waited(world: World, api: Api) -> None:
    gone = f"http://{world.slack.authority}/services/T0TEST/B0TEST/gone"
    made = await api.make_channel("ops", gone)
    await api.make_route("ops", made["channel_id"])
    path = f"/v1/channels/{made['channel_id']}"
    async with dispatching(world, api):
        await world.take_in(opened_warn())

        async def broken() -> Any:
            return (await api.ask("GET", path, 200))["parked"] == 1

        await eventually(broken, what="the channel to break")
        assert f"PATCH {path}" in (await api.ask("GET", path, 200))["broken_reason"]
        fixed = await api.ask("PATCH", path, 200, json={"secret": {"url": world.slack.address}})
        assert (fixed["state"], fixed["broken_reason"], fixed["parked"]) == ("active", None, 0)
        await delivered(world, made["channel_id"])


async def test_name_changes_and_two_of_one_name_are_refused(world: World, api: Api) -> None:
    made = await api.make_channel("ops", SECRET)
    await api.make_channel("other", SECRET)
    path = f"/v1/channels/{made['channel_id']}"
    assert (await api.ask("PATCH", path, 200, json={"name": "on call"}))["name"] == "on call"
    assert ("channel_changed", "on call", "name: ops → on call") in await api.texts()
    problem = await api.ask("PATCH", path, 409, json={"name": "other"})
    assert problem["type"] == "urn:sentryml:problem:name-taken"
    body = {"name": "other", "kind": "slack_webhook", "secret": {"url": SECRET}}
    await api.ask("POST", "/v1/channels", 409, json=body)


async def test_every_change_makes_another_fingerprint_and_none_without_one(world: World, api: Api) -> None:
    made = await api.make_channel("ops", SECRET)
    path, seen = f"/v1/channels/{made['channel_id']}", set()
    for body in ({}, {"name": "ops"}, {"name": "new"}, {"secret": {"url": SECRET}}):
        await api.ask("PATCH", path, 200, json=body)
        seen.add(await world.pool.fetchval("SELECT fingerprint FROM channel WHERE channel_id = $1", UUID(path[-36:])))
    assert len(seen) == 3


async def test_channel_of_a_setting_is_shown_and_changed_there_alone(world: World, api: Api) -> None:
    (channel,) = (await api.ask("GET", "/v1/channels", 200))["items"]
    assert channel["secret_setting"] == "SENTRYML_SLACK_WEBHOOK_URL"
    path = f"/v1/channels/{channel['channel_id']}"
    for method, how in (("PATCH", {"json": {"name": "x"}}), ("DELETE", {})):
        problem = await api.ask(method, path, 409, **how)
        assert problem["type"] == "urn:sentryml:problem:channel-of-settings"
        assert "SENTRYML_SLACK_WEBHOOK_URL" in problem["detail"]


async def test_channel_is_deleted_when_nothing_leads_to_it_and_nothing_waits(world: World, api: Api) -> None:
    made = await api.make_channel("ops", world.slack.address)
    path = f"/v1/channels/{made['channel_id']}"
    route = await api.make_route("ops", made["channel_id"])
    problem = await api.ask("DELETE", path, 409)
    assert (problem["type"], problem["routes"]) == ("urn:sentryml:problem:channel-in-use", ["ops"])
    await world.take_in(opened_critical())
    await api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)
    problem = await api.ask("DELETE", path, 409)
    assert (problem["type"], problem["waiting"]) == ("urn:sentryml:problem:deliveries-waiting", 1)
    await api.ask("DELETE", f"{path}?discard=true", 204)
    await api.ask("GET", path, 404)
    (given_up,) = (await api.ask("GET", "/v1/deliveries?channel=ops", 200))["items"]
    assert (given_up["state"], given_up["parked_because"]) == ("parked", "channel_deleted")
    assert given_up["last_text"] == "Not delivered: the channel ops was deleted by admintest000."
    assert ("channel_deleted", "ops", "deliveries discarded: 1") in await api.texts()
    assert await world.pool.fetchval("SELECT secret FROM channel WHERE name = 'ops'") is None
    await world.take_in(escalated())
    assert len((await api.ask("GET", "/v1/deliveries?channel=ops", 200))["items"]) == 1
    await api.make_channel("ops", world.slack.address)  # its name is free again


async def test_given_up_while_it_is_sent_stays_given_up_and_its_attempt_is_kept(world: World, api: Api) -> None:
    made = await api.make_channel("ops", world.slack.address)
    route = await api.make_route("ops", made["channel_id"], kinds=["opened"])
    await api.ask("DELETE", f"/v1/routes/{(await api.ask('GET', '/v1/routes', 200))['items'][1]['route_id']}", 204)
    world.slack.play(Script(delay_seconds=1, accept=True))
    async with dispatching(world, api):
        await world.take_in(opened_critical())
        await world.under_way()
        await api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)
        await api.ask("DELETE", f"/v1/channels/{made['channel_id']}?discard=true", 204)
        await eventually(world.attempts, what="the attempt to be noted")
    (row,) = await world.deliveries()
    assert (row["state"], row["parked_because"], row["send_id"]) == ("parked", "channel_deleted", None)
    assert [attempt["outcome"] for attempt in await world.attempts()] == ["delivered"]


async def test_deleted_channel_has_no_series(world: World, api: Api) -> None:
    made = await api.make_channel("short-lived", world.slack.address)
    labels = {"channel": "short-lived", "state": "active"}
    await measure(world.pool, world.clock, Health())
    assert REGISTRY.get_sample_value("sentryml_channel_state", labels) == 1
    await api.ask("DELETE", f"/v1/channels/{made['channel_id']}", 204)
    await measure(world.pool, world.clock, Health())
    assert REGISTRY.get_sample_value("sentryml_channel_state", labels) is None


async def test_no_route_leads_to_what_is_deleted(world: World, api: Api) -> None:
    made = await api.make_channel("ops", world.slack.address)
    await api.ask("DELETE", f"/v1/channels/{made['channel_id']}", 204)
    body = {"name": "ops", "channel_id": made["channel_id"]}
    problem = await api.ask("POST", "/v1/routes", 422, json=body)
    assert problem["errors"][0]["field"] == "body.channel_id"


async def test_change_of_what_has_moved_on_is_refused_with_its_state(world: World, api: Api) -> None:
    made = await api.client.post(
        "/v1/channels", json={"name": "ops", "kind": "slack_webhook", "secret": {"url": SECRET}}
    )
    path = f"/v1/channels/{made.json()['channel_id']}"
    assert made.headers["ETag"] == (await api.client.get(path)).headers["ETag"] == '"v1"'
    changed = await api.client.patch(path, json={"name": "on call"}, headers={"If-Match": '"v1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"v2"')
    slack, seen = {"channel_id": str(world.channel.channel_id)}, {"headers": {"If-Match": '"v1"'}}
    for method, where, how in (("PATCH", path, {"json": {}}), ("DELETE", path, {}), ("PUT", f"{path}/fallback", slack)):
        body = {"json": how} if method == "PUT" else how
        problem = await api.ask(method, where, 412, **seen, **body)
        assert problem["type"] == "urn:sentryml:problem:channel-moved-on"
        assert (problem["channel"]["name"], problem["channel"]["version"]) == ("on call", 2)
    stands_in = await api.client.put(f"{path}/fallback", json=slack, headers={"If-Match": '"v2"'})
    assert (stands_in.status_code, stands_in.headers["ETag"]) == (200, '"v3"')
    assert SECRET not in changed.text + stands_in.text


async def test_version_of_a_channel_is_of_what_people_set(world: World, api: Api) -> None:
    """Not of what changes nothing, and not of how it fares; and nobody has to name one."""
    path = f"/v1/channels/{(await api.make_channel('ops', SECRET))['channel_id']}"
    assert (await api.ask("PATCH", path, 200, json={"name": "ops"}))["version"] == 1
    await api.ask("PUT", f"{path}/fallback", 200, json={"channel_id": None})
    await world.pool.execute("UPDATE channel SET state = 'broken', broken_reason = 'archived' WHERE name = 'ops'")
    assert (await api.ask("GET", path, 200))["version"] == 1
    assert (await api.ask("PATCH", path, 200, json={"name": "on call"}))["version"] == 2
    slack = f"/v1/channels/{world.channel.channel_id}"
    for address, version in ((None, 1), (f"{world.slack.address}other", 2)):
        await world.open_channel(address)  # as a restart does
        assert (await api.ask("GET", slack, 200))["version"] == version


async def test_what_is_not_there_is_said_so(api: Api) -> None:
    for method, how in (("GET", {}), ("PATCH", {"json": {}}), ("DELETE", {})):
        problem = await api.ask(method, f"/v1/channels/{MISSING}", 404, **how)
        assert problem["type"] == "urn:sentryml:problem:unknown-channel"


async def test_changing_takes_admin_for_all_models(world: World, api: Api) -> None:
    for headers in (
        api.key("readertest00", Scope.READ, Scope.WRITE),
        api.key("sometest0000", Scope.ADMIN, models=("fraud-*",)),
    ):
        await api.ask("GET", "/v1/channels", 200, headers=headers)
        for method in ("PATCH", "DELETE"):
            how = {"json": {}} if method == "PATCH" else {}
            await api.ask(method, f"/v1/channels/{world.channel.channel_id}", 403, headers=headers, **how)


async def test_fallback_is_named_shown_and_written_down(world: World, api: Api) -> None:
    slack, backup = str(world.channel.channel_id), (await api.make_channel("backup", SECRET))["channel_id"]
    for one, other in ((slack, backup), (backup, slack)):
        shown = await api.ask("PUT", f"/v1/channels/{one}/fallback", 200, json={"channel_id": other})
        assert shown["fallback_channel_id"] == other
    again = await api.ask("PUT", f"/v1/channels/{slack}/fallback", 200, json={"channel_id": backup})
    assert again["fallback_channel_id"] == backup
    gone = await api.ask("PUT", f"/v1/channels/{slack}/fallback", 200, json={"channel_id": None})
    assert gone["fallback_channel_id"] is None
    assert (await api.texts())[1:] == [
        ("channel_changed", "slack", "fallback: none → backup"),
        ("channel_changed", "backup", "fallback: none → slack"),
        ("channel_changed", "slack", "fallback: backup → none"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "status"), [(None, None, 409), (None, UNHEARD_OF, 404), (UNHEARD_OF, None, 404)]
)
async def test_fallback_that_cannot_be_is_refused(
    world: World, api: Api, one: str | None, other: str | None, status: int
) -> None:
    """`None` means the existing channel."""
    slack = str(world.channel.channel_id)
    problem = await api.ask("PUT", f"/v1/channels/{one or slack}/fallback", status, json={"channel_id": other or slack})
    assert "GET /v1/channels" in problem["detail"]
    assert (await api.ask("GET", f"/v1/channels/{slack}", 200))["fallback_channel_id"] is None
