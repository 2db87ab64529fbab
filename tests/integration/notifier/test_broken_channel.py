"""A channel that a person has to fix: it says how, nothing is lost meanwhile, and what waited goes out then."""

from __future__ import annotations

import pytest

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.store.channels import break_channel
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import opened_critical, resolved


@pytest.mark.parametrize(
    ("status", "body", "reason", "text"),
    [
        (302, "", "redirect", "redirect (302)"),
        (403, "invalid_token", "invalid_token", "does not accept the token"),
        (404, "no_service", "no_service", "was removed"),
        (404, "channel_not_found", "channel_not_found", "does not exist any more"),
        (410, "channel_is_archived", "channel_is_archived", "is archived"),
        (418, "teapot", "http_4xx", "(418)"),
    ],
)
async def test_refusal_breaks_the_channel_and_says_how_to_fix_it(
    world: World, status: int, body: str, reason: str, text: str
) -> None:
    world.slack.play(Script(status=status, body=body, headers={"Location": f"{world.slack.address}?moved"}))
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    assert await world.dispatch() == 1
    channel = await world.channel_row()
    assert channel["state"] == "broken"
    assert text in channel["broken_reason"]
    assert "what waits is sent as soon as it works" in channel["broken_reason"]
    assert [(row["state"], row["parked_because"]) for row in await world.deliveries()] == [
        ("parked", "channel_broken")
    ] * 2
    assert [row["reason"] for row in await world.attempts()] == [reason]
    assert world.slack.store.messages == [], "no redirect was followed"


async def test_what_comes_meanwhile_is_parked_and_all_goes_out_after_fixing(world: World) -> None:
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_critical(incident=1))
    await world.dispatch()
    await world.take_in(resolved(incident=1), opened_critical(incident=2))
    assert {row["state"] for row in await world.deliveries()} == {"parked"}
    assert all("archived" in row["last_text"] for row in await world.deliveries())
    assert await world.dispatch() == 0
    await world.open_channel()
    assert await world.dispatch() == 2
    assert (
        sorted(title[:12] for title in world.slack.titles) == ["🔴 CRITICAL d", "🟢 Resolved b"]
        or len(world.slack.titles) == 2
    )
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_channel_that_fixes_itself_is_found_out_within_a_quarter_of_an_hour(world: World) -> None:
    """A channel unarchived in Slack: nobody restarts anything, and what waited goes out."""
    world.slack.play(Script(status=410, body="channel_is_archived", times=2))
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    await world.dispatch()
    dispatcher = world.dispatcher()
    world.clock.advance(14 * 60)
    await dispatcher.revive_once(world.channel)
    assert await world.dispatch() == 0
    world.clock.advance(60)
    await dispatcher.revive_once(world.channel)
    assert await world.dispatch() == 1, "one is refused again, and all are parked again"
    assert {row["state"] for row in await world.deliveries()} == {"parked"}
    world.clock.advance(15 * 60)
    await dispatcher.revive_once(world.channel)
    assert await world.dispatch() == 2
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_channel_without_its_setting_is_not_tried_but_waits(world: World) -> None:
    async with transaction(world.pool) as connection:
        await break_channel(connection, world.channel.channel_id, world.channel.fingerprint, "not set", None)
    await world.take_in(opened_critical())
    world.clock.advance(3600)
    await world.dispatcher().revive_once(world.channel)
    assert await world.dispatch() == 0
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["last_text"]) == ("parked", "not set")


async def test_replica_with_an_old_secret_neither_sends_nor_breaks_the_fixed_channel(world: World) -> None:
    old = world.channel
    await world.open_channel(world.slack.address + "?new")
    await world.take_in(opened_critical())
    dispatcher = world.dispatcher()
    assert not await dispatcher.dispatch_one(old)
    async with transaction(world.pool) as connection:
        assert not await break_channel(connection, old.channel_id, old.fingerprint, "old news", None)
    assert (await world.channel_row())["state"] == "active"


async def test_secret_is_nowhere_in_the_database(world: World) -> None:
    await world.take_in(opened_critical())
    await world.dispatch()
    for table in ("channel", "route", "transition", "delivery", "attempt"):
        text = await world.pool.fetchval(f"SELECT string_agg(t::text, '') FROM {table} AS t")
        assert text
        assert "services/T0TEST" not in text
