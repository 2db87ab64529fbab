"""A route that holds: nothing leaves before the hold ends, then one summary does; on a real PostgreSQL, with the
stand-in for Slack."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Ending, Script
from sentryml_notifier import consumer
from sentryml_notifier.delivery.reminders import remind, remind_of_long_drift
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.store.outbox import claim_deliveries
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.bot_notifier import CHANNEL, title
from tests.integration.notifier.conftest import LEASE, World
from tests.integration.notifier.test_groups import HOUR, WAIT, named, opened, pass_time
from tests.integration.notifier.test_lease_takeover import claim_and_vanish
from tests.integration.notifier.vendor_channel import resend, vendor_channel
from tests.unit.notifier.builders import (
    OPEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
)

__all__ = ["api"]

MORNING = datetime(2026, 11, 23, 6, tzinfo=UTC)
"""When the hold of these tests ends; they begin at 02:15."""


@pytest.fixture
async def night(world: World) -> World:
    """A notifier that groups, whose only route holds from 22:00 to 06:00."""
    world.grouping = Grouping(timedelta(seconds=WAIT), timedelta(seconds=600))
    await hold(world)
    return world


async def hold(world: World, *hours: str) -> None:
    await world.pool.execute("UPDATE route SET hold_hours = $1", list(hours or ("daily 22:00-06:00",)))


async def until_morning(world: World) -> int:
    """Let the hold end, and send what is due; how many messages."""
    assert await pass_time(world, (MORNING - world.clock()).total_seconds() - 1) == 0
    return await pass_time(world, 1)


async def test_a_night_is_one_summary_in_the_morning(night: World) -> None:
    await night.take_in(*opened(range(12)))
    assert await pass_time(night, HOUR) == 0
    await night.take_in(*(resolved(2, from_=OPEN_WARN, **named(number)) for number in range(9)))
    assert await until_morning(night) == 1
    (text,) = night.slack.texts
    assert night.slack.titles == ["🟠 Held alerts · 12 models: 3 drift, 9 are over"]
    assert "12 incidents had alerts while the schedule of their route held them" in text
    rows = await night.deliveries()
    assert {row["state"] for row in rows} == {"delivered"}
    assert len(rows) == 21
    assert len({row["send_id"] for row in await night.attempts()}) == 1
    assert f"/incidents?group={rows[0]['group_id']}" in text
    assert await pass_time(night, 30 * HOUR) == 0


async def test_ends_of_what_a_summary_reported_are_one_message(night: World) -> None:
    await night.take_in(*opened(range(5)))
    assert await until_morning(night) == 1
    await night.take_in(*(resolved(2, from_=OPEN_WARN, **named(number)) for number in range(5)))
    assert await pass_time(night, WAIT) == 1
    assert night.slack.titles[1:] == ["🟢 Over: all 5 incidents"]


async def test_one_incident_is_a_message_of_its_own_that_says_why_it_is_late(night: World) -> None:
    await night.take_in(opened_warn(), acknowledged(), resolved(3, minutes=30, from_=OPEN_WARN))
    assert await until_morning(night) == 1
    (text,) = night.slack.texts
    assert text.startswith("🟢 Resolved before it could be delivered")
    assert "Sent 3 h 15 min after it happened: It was held by the schedule of its route." in text


async def test_critical_alerts_pass_and_take_what_was_held_of_their_incident_along(night: World) -> None:
    await night.take_in(*opened(range(4)))
    await night.take_in(escalated(**named(0)), opened_critical(**named(9)))
    assert await pass_time(night, WAIT) == 2
    assert sorted(night.slack.titles) == ["🔴 CRITICAL drift · model-9", "🔴 CRITICAL drift, escalated · model-0"]
    assert any("Not delivered before" in text for text in night.slack.texts)
    await night.take_in(resolved(2, **named(9)), resolved(3, **named(0)))
    assert await pass_time(night, WAIT) == 2, "who was woken learns of the end"
    assert await until_morning(night) == 1
    assert night.slack.titles[-1] == "🟠 Held alerts · 3 models drift"


async def test_critical_alerts_wait_too_where_the_route_says_so(night: World) -> None:
    await night.pool.execute("UPDATE route SET hold_critical = true")
    await night.take_in(opened_critical(**named(1)), opened_warn(**named(2)))
    assert await until_morning(night) == 1
    assert night.slack.titles == ["🔴 Held alerts · 2 models drift"]


async def test_a_window_holds_the_models_that_it_names(night: World) -> None:
    await night.pool.execute("UPDATE route SET hold_hours = '{}', hold_windows = $1", [
        "2026-11-23 00:00 to 2026-11-23 06:00 for model-1*"
    ])  # fmt: skip
    await night.take_in(*opened([1, 2, 10]))
    assert await pass_time(night, WAIT) == 1
    assert night.slack.titles == ["🟠 Warning: drift · model-2"]
    assert await until_morning(night) == 1


async def test_what_comes_when_the_hold_is_over_is_not_held(night: World) -> None:
    assert await until_morning(night) == 0
    await night.take_in(opened_warn())
    assert await pass_time(night, WAIT) == 1
    assert [row["held_until"] for row in await night.deliveries()] == [None]


async def test_what_is_published_says_until_when_it_is_held(night: World) -> None:
    await night.take_in(opened_warn())
    async with transaction(night.pool) as connection:
        (made,) = [each.message for each in await claim_deliveries(connection, night.clock())]
    assert isinstance(made, Delivery)
    assert (made.held_until, made.due_at, made.state) == (MORNING, MORNING, "pending")


@pytest.mark.parametrize("size", [1, 7])
async def test_a_notifier_killed_over_its_summary_neither_loses_nor_doubles_it(night: World, size: int) -> None:
    await night.take_in(*opened(range(size)))
    night.clock.now = MORNING
    await claim_and_vanish(night)
    assert await pass_time(night, LEASE.total_seconds() - 1) == 0, "the lease holds"
    assert await pass_time(night, 1) == 1
    assert night.slack.titles[0].endswith("(repeat)"), "nobody knows whether it had arrived"
    rows = await night.deliveries()
    assert [(row["state"], row["attempts"]) for row in rows] == [("delivered", 2)] * size
    assert await night.pool.fetchval("SELECT count(*) FROM alert_group") == (1 if size > 1 else 0)
    assert await pass_time(night, 24 * HOUR) == 0


async def test_what_joins_after_a_crash_is_not_mixed_with_what_may_have_arrived(night: World) -> None:
    await night.take_in(*opened(range(3)))
    night.slack.play(Script(ending=Ending.RESET))
    await night.pool.execute("UPDATE delivery SET due_at = due_at - interval '1 hour', held_until = held_until"
                             " - interval '1 hour'")  # fmt: skip
    assert await pass_time(night, (MORNING - night.clock()).total_seconds() - HOUR) == 1
    await night.take_in(*opened(range(3, 6)))
    assert await pass_time(night, 5) == 1, "the repeat"
    assert await until_morning(night) == 1
    assert [each.endswith("(repeat)") for each in night.slack.titles[-2:]] == [True, False]
    assert len({row["group_id"] for row in await night.deliveries()}) == 2


async def test_failed_summary_is_sent_again_as_one(night: World) -> None:
    await night.take_in(*opened(range(5)))
    night.slack.play(Script(status=503), Script(status=429, headers={"Retry-After": "20"}))
    assert await until_morning(night) == 1
    assert await pass_time(night, 10) == 1
    assert await pass_time(night, 30) == 1
    assert night.slack.titles == ["🟠 Held alerts · 5 models drift"]


async def test_a_channel_that_breaks_and_is_mended_still_holds(night: World) -> None:
    await night.take_in(*opened(range(3)))
    await night.open_channel()  # as a start of the notifier does: what backs off is due again
    assert await night.dispatch() == 0
    assert await until_morning(night) == 1


async def test_the_fallback_of_a_broken_channel_gets_nothing_before_the_hold_ends(night: World) -> None:
    await night.open_fallback()
    await night.pool.execute("UPDATE channel SET state = 'broken', broken_reason = 'archived' WHERE name = 'slack'")
    await night.take_in(*opened(range(3)))
    await night.dispatcher().hand_over_once()
    assert len(await night.deliveries()) == 3
    night.clock.now = MORNING
    await night.dispatcher().hand_over_once()
    assert len(await night.deliveries()) == 6


async def test_reminders_wait_for_the_end_of_the_hold(night: World) -> None:
    await night.pool.execute("UPDATE route SET hold_hours = '{}', remind_after_seconds = 600")
    await night.take_in(opened_warn(**named(1)), opened_critical(**named(2)))
    assert await pass_time(night, WAIT) == 2
    await hold(night)
    night.clock.advance(HOUR)
    assert await remind(night.pool, night.clock) == 1, "of the critical one"
    night.clock.now = MORNING
    assert await remind(night.pool, night.clock) == 1
    night.clock.now = MORNING + timedelta(days=7, hours=-2)
    assert await remind_of_long_drift(night.pool, night.clock, 7) == 1
    night.clock.now = MORNING + timedelta(days=7)
    assert await remind_of_long_drift(night.pool, night.clock, 7) == 1


async def test_a_bot_keeps_its_threads_up_to_date_and_sends_one_summary(night: World) -> None:
    await night.open_bot()
    await night.take_in(opened_warn(**named(1)))
    assert await pass_time(night, WAIT) == 1
    await hold(night)
    await night.take_in(acknowledged(2, **named(1)), *opened([2, 3]))
    assert await pass_time(night, WAIT) == 1, "a reply that calls nobody"
    assert await until_morning(night) == 1
    roots = sorted(map(title, night.slack.workspace.roots(CHANNEL)))
    assert roots == ["🟠 Held alerts · 2 models drift", "🟠 Warning: drift · model-1"]


async def test_programs_get_each_incident_as_it_is_when_the_hold_ends(night: World) -> None:
    async with vendor_channel(night, "pagerduty") as vendor:
        await hold(night)
        await night.take_in(*opened(range(3)))
        await night.take_in(resolved(2, from_=OPEN_WARN, **named(0)))
        assert await until_morning(night) == 3
    assert sorted(event["event_action"] for event in vendor.received) == ["resolve", "trigger", "trigger"]


async def test_alertmanager_goes_on_showing_what_ends_while_its_end_is_held(night: World) -> None:
    async with vendor_channel(night, "alertmanager") as vendor:
        await night.take_in(opened_warn())
        assert await night.dispatch() == 1
        await hold(night)
        await night.take_in(resolved(2, from_=OPEN_WARN))
        night.clock.advance(HOUR)
        assert await resend(night)
        assert "endsAt" not in vendor.received[-1][0]
        assert await until_morning(night) == 1
        assert "endsAt" in vendor.received[-1][0]


async def test_a_changed_schedule_holds_for_as_long_as_it_says_now(night: World, api: Api) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    path = f"/v1/routes/{route['route_id']}"
    spec = {"name": route["name"], "channel_id": route["channel_id"]}
    await night.take_in(*opened(range(3)))
    await api.ask("PUT", path, 200, json={**spec, "hold_hours": ["daily 22:00-05:00"]})
    assert {row["held_until"] for row in await night.deliveries()} == {MORNING - timedelta(hours=1)}
    await api.ask("PUT", path, 200, json=spec)
    assert await night.dispatch() == 1
    assert night.slack.titles == ["🟠 Held alerts · 3 models drift"]


async def test_what_comes_in_while_the_schedule_changes_is_not_held_by_the_one_before(
    night: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    spec = {"name": route["name"], "channel_id": route["channel_id"]}
    read, go_on, insert = asyncio.Event(), asyncio.Event(), consumer.insert_transition

    async def insert_later(*arguments: Any) -> bool:
        read.set()
        await go_on.wait()
        return await insert(*arguments)

    monkeypatch.setattr(consumer, "insert_transition", insert_later)
    taking = asyncio.create_task(night.take_in(*opened(range(3))))
    await read.wait()
    changing = asyncio.create_task(api.ask("PUT", f"/v1/routes/{route['route_id']}", 200, json=spec))
    await night.ended_or_locked_out(changing)
    go_on.set()
    await asyncio.gather(taking, changing)
    assert {row["held_until"] for row in await night.deliveries()} == {night.clock()}
    assert await night.dispatch() == 1


async def test_retry_sends_what_is_held_at_once(night: World, api: Api) -> None:
    await night.take_in(*opened(range(2)))
    (first, _) = await night.deliveries()
    retried = await api.ask("POST", f"/v1/deliveries/{first['delivery_id']}:retry", 200)
    assert await night.dispatch() == 1
    assert night.slack.titles == [f"🟠 Warning: drift · {retried['model_id']}"]
    assert await until_morning(night) == 1
