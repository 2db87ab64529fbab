"""Routes over HTTP, and what they do to what comes after."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from sentryml_common.contracts.api_key import Scope
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import acknowledged, escalated, opened_critical, opened_warn, reopened, resolved

__all__ = ["api"]

MISSING = "00000000-0000-4000-8000-000000000000"


async def reported(world: World) -> list[tuple[str, str]]:
    """(route, kind) of every delivery, in the order of the steps."""
    rows = await world.pool.fetch(
        "SELECT r.name, d.kind FROM delivery AS d JOIN route AS r USING (route_id) ORDER BY d.sequence, r.name"
    )
    return [(row["name"], row["kind"]) for row in rows]


async def only_route(api: Api, **what: Any) -> dict[str, Any]:
    """The route of the settings' channel, changed."""
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    body = {"name": route["name"], "channel_id": route["channel_id"], **what}
    return await api.ask("PUT", f"/v1/routes/{route['route_id']}", 200, json=body)  # type: ignore[no-any-return]


async def test_one_setting_makes_a_route_of_all_models_and_never_again(world: World, api: Api) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    assert (route["name"], route["channel"], route["model_patterns"]) == ("slack", "slack", [])
    other = await api.make_channel("ops", world.slack.address)
    body = {"name": "slack", "channel_id": other["channel_id"]}
    await api.ask("PUT", f"/v1/routes/{route['route_id']}", 200, json=body)
    await world.open_channel()
    assert len((await api.ask("GET", "/v1/routes", 200))["items"]) == 1
    await api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)
    await world.open_channel()  # as a restart does
    assert (await api.ask("GET", "/v1/routes", 200))["items"] == []
    await world.take_in(opened_critical())
    assert await world.deliveries() == []


async def test_route_of_a_setting_finds_another_name_where_its_own_is_taken(world: World, api: Api) -> None:
    await world.pool.execute("UPDATE channel SET name = 'before', secret_setting = NULL")
    await world.open_channel()
    names = [each["name"] for each in (await api.ask("GET", "/v1/routes", 200))["items"]]
    assert names == ["slack", f"slack {str(world.channel.channel_id)[:8]}"]


async def test_route_is_made_changed_and_deleted_and_each_is_reported(world: World, api: Api) -> None:
    channel_id = str(world.channel.channel_id)
    made = await api.make_route("fraud", channel_id, model_patterns=["fraud-*", "fraud-*"])
    assert (made["model_patterns"], made["version"], made["remind_after_seconds"]) == (["fraud-*"], 1, None)
    path = f"/v1/routes/{made['route_id']}"
    assert await api.ask("GET", path, 200) == made
    body = {"name": "fraud", "channel_id": channel_id, "least_severity": "critical", "remind_after_seconds": 600}
    changed = await api.ask("PUT", path, 200, json=body)
    assert (changed["model_patterns"], changed["version"]) == ([], 2)
    assert await api.ask("PUT", path, 200, json=body) == changed, "what changes nothing makes no version"
    await api.ask("DELETE", path, 204)
    await api.ask("GET", path, 404)
    assert await api.texts() == [
        ("route_made", "fraud", "leads to slack"),
        (
            "route_changed",
            "fraud",
            "model patterns: fraud-* → none; least severity: warn → critical; remind after seconds: none → 600",
        ),
        ("route_deleted", "fraud", "led to slack"),
    ]
    (entry, *_) = (await api.ask("GET", "/v1/changes", 200))["items"]
    assert entry["actor"] == {"type": "api_key", "id": "admintest000", "name": "admintest000"}


async def test_route_keeps_when_it_holds_and_whom_it_mentions(world: World, api: Api) -> None:
    what = {
        "time_zone": "Europe/Berlin",
        "hold_hours": ["mon-fri 18:00-08:00", "sat,sun 08:00-08:00"],
        "hold_windows": ["2026-12-24 18:00 to 2026-12-27 08:00 every 7 days for fraud-*"],
        "hold_critical": True,
        "slack_group_warn": "S0WARN",
        "slack_group_critical": "S0CRITICAL",
    }
    made = await api.make_route("night", world.channel.channel_id, **what)
    assert what.items() <= made.items()
    assert await api.ask("GET", f"/v1/routes/{made['route_id']}", 200) == made
    await api.ask(
        "PUT", f"/v1/routes/{made['route_id']}", 200, json={"name": "night", "channel_id": made["channel_id"]}
    )
    assert "hold hours: mon-fri 18:00-08:00, sat,sun 08:00-08:00 → none" in (await api.texts())[-1][2]


async def test_message_mentions_the_group_of_its_route(world: World, api: Api) -> None:
    await only_route(api, slack_group_critical="S0CRITICAL", time_zone="Europe/Berlin")
    await world.take_in(opened_critical())
    await world.dispatch()
    (message,) = world.slack.store.messages
    assert "<!subteam^S0CRITICAL>" in str(message.payload)


async def test_change_of_what_has_moved_on_is_refused_with_its_state(world: World, api: Api) -> None:
    made = await api.make_route("ops", world.channel.channel_id)
    path, body = f"/v1/routes/{made['route_id']}", {"name": "ops", "channel_id": made["channel_id"]}
    first = await api.client.get(path)
    assert first.headers["ETag"] == '"v1"'
    assert (await api.client.get(path, headers={"If-None-Match": '"v1"'})).status_code == 304
    await api.ask("PUT", path, 200, json={**body, "enabled": False}, headers={"If-Match": '"v1"'})
    for method in ("PUT", "DELETE"):
        how = {"json": body} if method == "PUT" else {}
        problem = await api.ask(method, path, 412, headers={"If-Match": '"v1"'}, **how)
        assert (problem["type"], problem["route"]["enabled"]) == ("urn:sentryml:problem:route-moved-on", False)


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"channel_id": MISSING}, "body.channel_id"),
        ({"model_patterns": ["no space"]}, "body.model_patterns.0"),
        ({"kinds": ["resolved"]}, "body.kinds"),
        ({"kinds": ["exploded"]}, "body.kinds.0"),
        ({"least_severity": "ok"}, "body.least_severity"),
        ({"remind_after_seconds": 299}, "body.remind_after_seconds"),
        ({"remind_times": 0}, "body.remind_times"),
        ({"name": "https://hooks.slack.com"}, "body.name"),
        ({"name": " "}, "body.name"),
        ({"time_zone": "Europe/Bielefeld"}, "body.time_zone"),
        ({"hold_hours": ["at night"]}, "body.hold_hours.0"),
        ({"hold_hours": ["daily 00:05-00:00"]}, "body.hold_hours"),
        ({"hold_windows": ["2026-12-24 18:00 to 2026-12-24 17:00"]}, "body.hold_windows.0"),
        ({"weekly_summary": "mondays"}, "body.weekly_summary"),
        ({"hold_critical": "yes"}, "body.hold_critical"),
        ({"slack_group_warn": "@oncall"}, "body.slack_group_warn"),
        ({"mute": True}, "body.mute"),
    ],
)
async def test_route_that_cannot_be_is_refused_by_field(world: World, api: Api, what: Any, field: str) -> None:
    body = {"name": "ops", "channel_id": str(world.channel.channel_id), **what}
    problem = await api.ask("POST", "/v1/routes", 422, json=body)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert len((await api.ask("GET", "/v1/routes", 200))["items"]) == 1


async def test_two_routes_of_one_name_are_refused(world: World, api: Api) -> None:
    problem = await api.ask(
        "POST", "/v1/routes", 409, json={"name": "slack", "channel_id": str(world.channel.channel_id)}
    )
    assert problem["type"] == "urn:sentryml:problem:name-taken"
    assert await api.texts() == []


async def test_reading_takes_read_and_changing_admin_for_all_models(world: World, api: Api) -> None:
    reader, some = api.key("readertest00", Scope.READ), api.key("sometest0000", Scope.ADMIN, models=("fraud-*",))
    body = {"name": "ops", "channel_id": str(world.channel.channel_id)}
    for headers in (reader, some):
        await api.ask("GET", "/v1/routes", 200, headers=headers)
        await api.ask("POST", "/v1/routes", 403, json=body, headers=headers)
    await api.ask("GET", "/v1/routes", 401, headers={"Authorization": ""})


async def test_end_goes_where_the_alert_went(world: World, api: Api) -> None:
    await only_route(api, least_severity="critical")
    await world.take_in(opened_warn(), escalated(), resolved(sequence=3))
    assert await reported(world) == [("slack", "escalated"), ("slack", "resolved")]


async def test_who_never_received_the_alert_gets_no_end(world: World, api: Api) -> None:
    await only_route(api, least_severity="critical")
    await world.take_in(opened_warn(), resolved())
    assert await reported(world) == []
    await only_route(api, least_severity="warn")
    await world.take_in(opened_warn(incident=43))
    late = await api.make_channel("late", world.slack.address)
    await api.make_route("late", late["channel_id"])
    await world.take_in(resolved(incident=43))
    assert await reported(world) == [("slack", "opened"), ("slack", "resolved")]


async def test_life_again_asks_again_who_was_notified(world: World, api: Api) -> None:
    await world.take_in(opened_critical(), resolved())
    await only_route(api, least_severity="critical")
    await world.take_in(reopened(), resolved(sequence=4))
    assert await reported(world) == [("slack", "opened"), ("slack", "resolved")]


async def test_end_reaches_who_was_notified_the_alert_although_the_route_is_for_other_models_now(
    world: World, api: Api
) -> None:
    await world.take_in(opened_critical())
    await only_route(api, model_patterns=["else-*"], kinds=["opened"])
    await world.take_in(resolved())
    assert await reported(world) == [("slack", "opened"), ("slack", "resolved")]


async def test_end_of_what_began_before_the_ledger_goes_by_its_own_merits(world: World) -> None:
    await world.take_in(resolved(sequence=7))
    assert await reported(world) == [("slack", "resolved")]


async def test_kinds_may_name_what_does_not_alert(world: World, api: Api) -> None:
    await only_route(api, kinds=["opened", "acknowledged"])
    await world.take_in(opened_warn(), acknowledged(), escalated(sequence=3), resolved(sequence=4))
    assert await reported(world) == [("slack", "opened"), ("slack", "acknowledged"), ("slack", "resolved")]


async def test_switched_off_route_takes_nothing(world: World, api: Api) -> None:
    await only_route(api, enabled=False)
    await world.take_in(opened_critical())
    assert await reported(world) == []


async def preview(api: Api, status: int = 200, **asked: Any) -> Any:
    return await api.ask("POST", "/v1/routes:preview", status, json=asked)


async def test_preview_says_of_every_route_whether_and_why_not(world: World, api: Api) -> None:
    ops = await api.make_channel("ops", world.slack.address)
    await api.make_route("a critical", ops["channel_id"], least_severity="critical")
    await api.make_route("b off", ops["channel_id"], enabled=False)
    await api.make_route("c fraud", ops["channel_id"], model_patterns=["fraud-*"])
    await api.make_route("d again", world.channel.channel_id)
    found = await preview(api, model_id="flights", kind="opened", severity="warn")
    assert found["text"] == "This would go to slack."
    assert {each["name"]: each["why"] for each in found["routes"]} == {
        "a critical": "less_severe",
        "b off": "disabled",
        "c fraud": "other_model",
        "d again": "matches",
        "slack": "already_notified",
    }
    end = await preview(api, model_id="flights", kind="resolved", severity="critical")
    assert end["channels"] == ["ops", "slack"]
    assert "Assumes" in end["assumed"]
    quiet = await preview(api, model_id="flights", kind="noted")
    assert quiet["text"] == "Nobody would be notified: no route takes it."
    assert await world.deliveries() == []


async def test_preview_of_a_recorded_transition_knows_who_was_notified_the_alert(world: World, api: Api) -> None:
    await world.take_in(opened_warn(), resolved())
    await api.make_route("a new", (await api.make_channel("ops", world.slack.address))["channel_id"])
    found = await preview(api, transition_id=str(resolved().transition_id))
    assert {each["name"]: each["why"] for each in found["routes"]} == {
        "a new": "alert_not_notified",
        "slack": "follows_its_alert",
    }
    await preview(api, 404, transition_id=MISSING)
    others = api.key("othertest000", Scope.READ, models=("fraud-*",))
    problem = await api.ask(
        "POST", "/v1/routes:preview", 404, json={"transition_id": str(resolved().transition_id)}, headers=others
    )
    assert problem["type"] == "urn:sentryml:problem:unknown-transition"


async def test_key_for_some_models_learns_of_no_other_model_from_routes(world: World, api: Api) -> None:
    channel = world.channel.channel_id
    made = [
        await api.make_route(name, channel, model_patterns=patterns)
        for name, patterns in (("both", ["fraud-*", "churn"]), ("other", ["churn", "credit-?"]), ("card", ["*-card"]))
    ]
    await api.ask("PUT", f"/v1/routes/{made[0]['route_id']}", 200, json={
        "name": "both", "channel_id": str(channel), "model_patterns": ["fraud-*", "credit-1"],
    })  # fmt: skip
    some = api.key("sometest0000", Scope.READ, models=("fraud-*",))
    seen = {
        each["name"]: each["model_patterns"]
        for each in (await api.ask("GET", "/v1/routes", 200, headers=some))["items"]
    }
    assert seen == {"both": ["fraud-*"], "card": ["*-card"], "slack": []}
    one = await api.ask("GET", f"/v1/routes/{made[0]['route_id']}", 200, headers=some)
    assert one["model_patterns"] == ["fraud-*"]
    await api.ask("GET", f"/v1/routes/{made[1]['route_id']}", 404, headers=some)
    previewed = await api.ask("POST", "/v1/routes:preview", 200, json={"model_id": "fraud-card"}, headers=some)
    assert {each["name"] for each in previewed["routes"]} == {"both", "card", "slack"}
    changes = await api.ask("GET", "/v1/changes", 200, headers=some)
    assert not {"churn", "credit"} & set(str(changes).replace("-", " ").replace(",", " ").split())


async def test_preview_without_routes_says_so(world: World, api: Api) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    await api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)
    assert "POST /v1/routes" in (await preview(api, model_id="m"))["text"]


async def test_changes_are_never_changed(world: World, api: Api) -> None:
    await api.make_route("ops", world.channel.channel_id)
    for statement in ("UPDATE change SET text = ''", "DELETE FROM change"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added"):
            await world.pool.execute(statement)


async def test_changes_come_in_pages(world: World, api: Api) -> None:
    for number in range(3):
        await api.make_route(f"route {number}", world.channel.channel_id)
    first = await api.ask("GET", "/v1/changes?limit=2", 200)
    rest = await api.ask("GET", f"/v1/changes?limit=2&cursor={first['next_cursor']}", 200)
    assert [each["subject"] for each in first["items"] + rest["items"]] == ["route 2", "route 1", "route 0"]
    assert rest["next_cursor"] is None
