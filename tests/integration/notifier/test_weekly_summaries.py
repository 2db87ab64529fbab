"""Weekly summaries: each week once, also after a crash; on a real PostgreSQL, with the stand-in for Slack."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.delivery.weekly import WeeklySender
from sentryml_notifier.store import weekly
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.bot_notifier import CHANNEL, title
from tests.integration.notifier.conftest import LEASE, World
from tests.integration.notifier.test_groups import HOUR, named
from tests.integration.notifier.vendor_channel import vendor_channel
from tests.unit.notifier.builders import OPEN_WARN, acknowledged, opened_critical, opened_warn, resolved

__all__ = ["api"]

MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
"""A week and some hours after these tests begin."""


@pytest.fixture
async def summarising(world: World) -> World:
    """A notifier whose only route sends a summary on Mondays at 09:00."""
    await switch_on(world)
    return world


async def switch_on(world: World) -> None:
    await world.pool.execute("UPDATE route SET weekly_summary = 'mon 09:00', weekly_since = $1", world.clock())


def sender_of(world: World) -> WeeklySender:
    return WeeklySender(world.pool, world.registry(None, world.given), LEASE, world.clock, lambda: 0.5, world.new_id)


async def send(world: World) -> int:
    """Send what is due; how many messages were attempted."""
    sender = sender_of(world)
    await sender.enter_due()
    count = 0
    while await sender.send_one(world.channel):
        count += 1
    return count


async def test_a_week_is_summarised_once(summarising: World) -> None:
    world = summarising
    await world.take_in(opened_warn(**named(1)), opened_critical(**named(2)), opened_warn(**named(3)))
    await world.take_in(acknowledged(2, **named(1)), resolved(2, from_=OPEN_WARN, **named(3)))
    await world.dispatch()
    before = len(world.slack.titles)
    world.clock.now = datetime(2026, 11, 23, 8, 59, tzinfo=UTC)
    assert await send(world) == 0
    world.clock.now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert await send(world) == 1
    assert await send(world) == 0
    (heading,) = world.slack.titles[before:]
    assert heading == "⚪ Weekly summary · 3 incidents, 2 live"
    text = world.slack.texts[-1]
    for part in ("Still drifting, the worst first", "Nobody acknowledged", "Resolved: 1", "/incidents"):
        assert part in text
    world.clock.now = MONDAY
    assert await send(world) == 1
    assert world.slack.titles[-1] == "⚪ Weekly summary · 2 incidents, 2 live", "what was over before is not repeated"


async def test_what_is_switched_on_says_nothing_of_the_past(world: World) -> None:
    world.clock.now = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
    await switch_on(world)
    assert await send(world) == 0
    world.clock.now = MONDAY
    assert await send(world) == 1
    assert world.slack.titles == ["⚪ Weekly summary · no incidents"]


async def test_after_an_outage_of_weeks_the_newest_is_sent(summarising: World) -> None:
    summarising.clock.now = MONDAY + timedelta(days=23)
    assert await send(summarising) == 1
    assert "Sent 2 d after it happened." in summarising.slack.texts[0]


async def test_a_notifier_killed_over_it_neither_loses_nor_doubles_it(summarising: World) -> None:
    world = summarising
    world.clock.now = MONDAY
    await sender_of(world).enter_due()
    async with transaction(world.pool) as connection:
        until = world.clock.now + LEASE
        lost = await weekly.claim(
            connection, world.channel.channel_id, world.channel.fingerprint, world.new_id(), world.clock.now, until
        )
    assert lost is not None
    assert await send(world) == 0, "the lease holds"
    world.clock.advance(LEASE.total_seconds())
    assert await send(world) == 1
    assert world.slack.titles == ["⚪ Weekly summary · no incidents (repeat)"]
    world.clock.advance(HOUR)
    assert await send(world) == 0


async def test_a_route_that_is_deleted_while_its_summary_is_claimed_ends_nothing(
    summarising: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = summarising
    world.clock.now = MONDAY
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    claim, deleting = weekly.claim, list[asyncio.Task[None]]()

    async def claim_while_it_is_deleted(*arguments: Any) -> weekly.Summary | None:
        found = await claim(*arguments)
        if found is not None:
            deleting.append(asyncio.create_task(api.ask("DELETE", f"/v1/routes/{route['route_id']}", 204)))
            await world.ended_or_locked_out(deleting[0])
        return found

    monkeypatch.setattr(weekly, "claim", claim_while_it_is_deleted)
    assert await send(world) == 1
    await asyncio.gather(*deleting)
    assert world.slack.titles == ["⚪ Weekly summary · no incidents"]


async def test_failures_are_retried_and_what_became_of_it_is_shown(summarising: World, api: Api) -> None:
    world = summarising
    world.slack.play(Script(status=503), Script(status=410, body="channel_is_archived"))
    world.clock.now = MONDAY
    assert await send(world) == 1
    world.clock.advance(60)
    assert await send(world) == 1
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    assert route["weekly_last_at"] == "2026-11-30T09:00:00Z"
    assert "archived" in route["weekly_last_text"]
    world.clock.advance(15 * 60)
    assert await send(world) == 1
    assert len(world.slack.titles) == 1


async def test_routes_summarise_the_models_that_they_are_for(summarising: World) -> None:
    world = summarising
    await world.pool.execute("UPDATE route SET model_patterns = '{model-1}'")
    await world.take_in(opened_warn(**named(1)), opened_warn(**named(2)))
    world.clock.now = MONDAY
    assert await send(world) == 1
    assert world.slack.titles == ["⚪ Weekly summary · 1 incident, 1 live"]


async def test_a_bot_sends_it_outside_of_threads(world: World) -> None:
    await world.open_bot()
    await switch_on(world)
    world.clock.now = MONDAY
    assert await send(world) == 1
    assert list(map(title, world.slack.workspace.roots(CHANNEL))) == ["⚪ Weekly summary · no incidents"]
    assert await world.pool.fetchval("SELECT count(*) FROM conversation") == 0


async def test_it_is_for_channels_that_people_read(world: World, api: Api) -> None:
    async with vendor_channel(world, "pagerduty"):
        (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
        spec = {"name": route["name"], "channel_id": route["channel_id"], "weekly_summary": "mon 09:00"}
        problem = await api.ask("PUT", f"/v1/routes/{route['route_id']}", 422, json=spec)
    assert "read by programs" in problem["detail"]


async def test_a_change_that_is_about_something_else_keeps_since_when(world: World, api: Api) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    path, spec = f"/v1/routes/{route['route_id']}", {"name": "slack", "channel_id": route["channel_id"]}
    await api.ask("PUT", path, 200, json={**spec, "weekly_summary": "mon 09:00"})
    world.clock.now = MONDAY
    await api.ask("PUT", path, 200, json={**spec, "weekly_summary": "mon 09:00", "least_severity": "critical"})
    assert await send(world) == 1
