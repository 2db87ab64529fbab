"""Test messages and retries, asked for over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.secrets import SecretBox
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn

__all__ = ["api"]

MISSING = "00000000-0000-4000-8000-000000000000"


async def try_out(world: World, api: Api, status: int = 200) -> Any:
    return await api.ask("POST", f"/v1/channels/{world.channel.channel_id}:test", status)


async def test_test_message_arrives_and_is_no_alert(world: World, api: Api) -> None:
    found = await try_out(world, api)
    assert (found["delivered"], found["text"]) == (True, "Accepted by Slack.")
    assert world.slack.titles == ["⚪ Test message · no alert"]
    assert "Nothing has happened to any model" in world.slack.texts[0]
    assert await api.texts() == [("test_sent", "slack", "delivered: Accepted by Slack.")]
    assert await world.deliveries() == []


@pytest.mark.parametrize(
    ("script", "outcome", "text", "what_next"),
    [
        (Script(status=404, body="no_service"), "channel_refused", "put it into SENTRYML_SLACK_WEBHOOK_URL", "Fix"),
        (Script(status=503), "not_accepted", "not available", "retried automatically"),
        (Script(status=500), "uncertain", "may have arrived", "Check whether it has arrived"),
        (Script(status=429, headers={"Retry-After": "30"}), "rate_limited", "more slowly", "Test again later"),
        (Script(status=302), "channel_refused", "redirect", "Fix"),
    ],
)
async def test_what_became_of_it_is_said_in_words(
    world: World, api: Api, script: Script, outcome: str, text: str, what_next: str
) -> None:
    world.slack.play(script)
    found = await try_out(world, api)
    assert (found["delivered"], found["outcome"]) == (False, outcome)
    assert text in found["text"]
    assert what_next in found["what_next"]
    assert (await world.channel_row())["state"] == "active", "a test judges nothing"


async def test_test_that_arrives_fixes_a_broken_channel(world: World, api: Api) -> None:
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical())
    await world.dispatch()
    assert (await world.channel_row())["state"] == "broken"
    await try_out(world, api)
    assert (await world.channel_row())["state"] == "active"
    assert await world.dispatch() == 1
    assert world.slack.titles[-1] == "🔴 CRITICAL drift · flights-delay"


async def test_channel_that_cannot_be_opened_says_why(world: World, api: Api) -> None:
    made = await api.make_channel("ops", world.slack.address)
    api.context.registry = world.registry(SecretBox(["x" * 32]), world.given)
    problem = await api.ask("POST", f"/v1/channels/{made['channel_id']}:test", 409)
    assert problem["type"] == "urn:sentryml:problem:channel-not-open"
    assert "Put it back" in problem["detail"]
    api.context.registry = world.registry()
    assert "restart it" in (await try_out(world, api, 409))["detail"]
    await api.ask("POST", f"/v1/channels/{MISSING}:test", 404)


async def only_delivery(api: Api) -> Any:
    (found,) = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    return found


async def again(api: Api, delivery: Any, status: int = 200, **how: Any) -> Any:
    return await api.ask("POST", f"/v1/deliveries/{delivery['delivery_id']}:retry", status, **how)


async def test_what_backs_off_is_due_now(world: World, api: Api) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_critical())
    await world.dispatch()
    assert await world.dispatch() == 0
    found = await again(api, await only_delivery(api))
    assert (found["state"], found["due_at"]) == ("pending", world.clock.now.isoformat().replace("+00:00", "Z"))
    assert await api.texts() == [("retry_asked", "incident #42", "it was pending")]
    assert await world.dispatch() == 1
    problem = await again(api, await only_delivery(api), 409)
    assert (problem["type"], problem["state"]) == ("urn:sentryml:problem:not-retryable", "delivered")


async def test_retry_takes_along_what_goes_before(world: World, api: Api) -> None:
    world.slack.play(Script(status=503))
    await world.take_in(opened_warn())
    await world.dispatch()
    await world.take_in(escalated())
    newest = (await api.ask("GET", "/v1/deliveries", 200))["items"][0]
    assert newest["kind"] == "escalated"
    await again(api, newest)
    assert {row["held_until"] for row in await world.deliveries()} == {None}
    assert await world.dispatch() == 2
    assert len(world.slack.titles) == 2


async def test_retry_on_a_broken_channel_tries_all_that_is_undeliverable(world: World, api: Api) -> None:
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical(incident=1))
    await world.dispatch()
    await world.take_in(opened_critical(incident=2))
    newest, oldest = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert (newest["state"], newest["parked_because"]) == ("parked", "channel_broken")
    await again(api, oldest)
    assert await world.dispatch() == 2


async def test_channel_that_must_be_changed_first_says_so(world: World, api: Api) -> None:
    made = await api.make_channel("ops", world.slack.address)
    route = (await api.ask("GET", "/v1/routes", 200))["items"][0]
    await api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)
    await api.make_route("ops", made["channel_id"])
    api.context.registry = world.registry(SecretBox(["x" * 32]), world.given)
    await api.context.registry.read()
    await world.take_in(opened_critical())
    problem = await again(api, await only_delivery(api), 409)
    assert problem["type"] == "urn:sentryml:problem:channel-broken"
    assert "Put it back" in problem["detail"]


async def test_retry_of_what_is_given_up_or_under_way_is_refused(world: World, api: Api) -> None:
    await world.take_in(opened_critical())
    await world.pool.execute(
        "UPDATE delivery SET state = 'parked', parked_because = 'channel_deleted', last_text = 'gone'"
    )
    assert "its channel was deleted" in (await again(api, await only_delivery(api), 409))["detail"]
    await world.pool.execute(
        "UPDATE delivery SET state = 'sending', parked_because = NULL, send_id = gen_random_uuid()"
    )
    assert "it is being sent" in (await again(api, await only_delivery(api), 409))["detail"]
    await api.ask("POST", f"/v1/deliveries/{MISSING}:retry", 404)


async def test_keys_see_and_retry_what_is_of_their_models(world: World, api: Api) -> None:
    await world.take_in(opened_critical(incident=1, model_id="fraud-card"), opened_critical(incident=2))
    some = api.key("sometest0000", Scope.ADMIN, models=("fraud-*",))
    reader = api.key("readertest00", Scope.READ)
    (own,) = (await api.ask("GET", "/v1/deliveries", 200, headers=some))["items"]
    (other,) = (await api.ask("GET", "/v1/deliveries?model=flights-delay", 200))["items"]
    await again(api, own, headers=some)
    await again(api, own, 403, headers=reader)
    for problem in (
        await api.ask("POST", f"/v1/deliveries/{other['delivery_id']}:retry", 404, headers=some),
        await api.ask("GET", f"/v1/deliveries/{other['delivery_id']}", 404, headers=some),
    ):
        assert problem["detail"] == f"there is no delivery {other['delivery_id']}: GET /v1/deliveries lists them"
    assert (await api.ask("GET", f"/v1/deliveries/{own['delivery_id']}", 200, headers=some))["model_id"] == "fraud-card"


async def test_key_for_some_models_is_notified_of_no_retry_of_others(world: World, api: Api) -> None:
    """Nor by pages: what is left out takes no place."""
    await world.take_in(opened_critical(incident=1, model_id="fraud-card"), opened_critical(incident=2))
    made = await api.make_channel("ops", world.slack.address)
    for delivery in (await api.ask("GET", "/v1/deliveries", 200))["items"]:
        await again(api, delivery)
    await api.ask("DELETE", f"/v1/channels/{made['channel_id']}", 204)
    some = api.key("readertest00", Scope.READ, models=("fraud-*",))
    seen, cursor = [], ""
    while cursor is not None:
        page = await api.ask("GET", f"/v1/changes?limit=1{cursor}", 200, headers=some)
        seen += [(each["action"], each["subject"]) for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == [("channel_deleted", "ops"), ("retry_asked", "incident #1"), ("channel_made", "ops")]
    everything = [subject for action, subject, _ in await api.texts() if action == "retry_asked"]
    assert sorted(everything) == ["incident #1", "incident #2"]


async def test_deliveries_come_in_pages_and_by_filter(world: World, api: Api) -> None:
    await world.take_in(*(opened_warn(incident=number, model_id=f"m{number}") for number in range(1, 5)))
    await world.dispatch(at_most=1)
    world.clock.advance(60)
    await world.take_in(escalated(incident=1, model_id="m1"))
    seen, cursor = [], ""
    while cursor is not None:
        page = await api.ask("GET", f"/v1/deliveries?limit=2{cursor}", 200)
        seen += [(each["model_id"], each["sequence"]) for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen[0] == ("m1", 2)
    assert sorted(seen) == [("m1", 1), ("m1", 2), ("m2", 1), ("m3", 1), ("m4", 1)]
    since = world.clock.now.isoformat().replace("+00:00", "Z")
    incident = opened_warn(incident=1).incident_id
    for query, count in (
        ("state=delivered", 1),
        ("state=pending&state=delivered", 5),
        (f"incident_id={incident}", 2),
        (f"since={since}", 1),
        ("model=m2", 1),
        ("channel=slack", 5),
        ("channel=other", 0),
    ):
        assert len((await api.ask("GET", f"/v1/deliveries?{query}", 200))["items"]) == count, query
    assert (await api.ask("GET", "/v1/deliveries?cursor=nonsense", 422))["type"].endswith("invalid-cursor")
