"""While a channel is broken, its fallback delivers what it cannot; nothing is lost, and little is sent twice."""

from __future__ import annotations

import pytest

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.channel_registry import OpenChannel
from sentryml_notifier.store.fallback import set_fallback
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import (
    OPEN_CRITICAL,
    a_category,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
    score_why,
)

ARCHIVED = Script(status=410, body="channel_is_archived")


@pytest.fixture
async def backup(world: World) -> OpenChannel:
    return await world.open_fallback()


async def break_it(world: World) -> None:
    world.slack.play(ARCHIVED)
    await world.dispatch()
    await world.dispatcher().hand_over_once()


def texts_of(world: World, bot: str) -> list[str]:
    hooks = [message.hook for message in world.slack.store.messages]
    return [text for hook, text in zip(hooks, world.slack.texts, strict=True) if hook.endswith(bot)]


async def states(world: World) -> list[tuple[str, str, str]]:
    rows = await world.pool.fetch(
        """
        SELECT name, delivery.kind, delivery.state FROM delivery JOIN channel USING (channel_id)
         ORDER BY name, incident_id, sequence
        """
    )
    return [(row["name"], row["kind"], row["state"]) for row in rows]


async def test_what_is_undeliverable_and_what_comes_later_goes_to_the_fallback_and_says_why(
    world: World, backup: OpenChannel
) -> None:
    await world.take_in(opened_critical())
    await break_it(world)
    assert await world.dispatch(backup) == 1
    await world.take_in(resolved())
    await world.dispatcher().hand_over_once()
    assert await world.dispatch(backup) == 1
    first, second = texts_of(world, "B0BACKUP")
    for text in (first, second):
        assert "Sent here because the channel slack is broken: The webhook's Slack channel is archived." in text
    assert await states(world) == [
        ("backup", "opened", "delivered"), ("backup", "resolved", "delivered"),
        ("slack", "opened", "parked"), ("slack", "resolved", "parked"),
    ]  # fmt: skip


async def test_standing_in_again_changes_nothing(world: World, backup: OpenChannel) -> None:
    await world.take_in(opened_critical())
    await break_it(world)
    before = await states(world)
    for _ in range(2):
        await world.dispatcher().hand_over_once()
    assert await states(world) == before


async def test_fallback_named_after_the_channel_broke_is_reported_too(world: World, backup: OpenChannel) -> None:
    async with transaction(world.pool) as connection:
        await set_fallback(connection, world.channel.channel_id, None)
    await world.take_in(opened_critical())
    await break_it(world)
    assert await world.dispatch(backup) == 0
    async with transaction(world.pool) as connection:
        await set_fallback(connection, world.channel.channel_id, backup.channel_id)
    await world.dispatcher().hand_over_once()
    assert await world.dispatch(backup) == 1


async def test_fixed_channel_is_not_sent_what_is_over_and_was_sent(world: World, backup: OpenChannel) -> None:
    # With a character that PostgreSQL takes as it is, but cannot look past.
    await world.take_in(opened_critical(why=(score_why(bins=(a_category("a\u0000b", 0.1, 0.6),)),)))
    await break_it(world)
    await world.take_in(resolved())
    await world.dispatcher().hand_over_once()
    await world.dispatch(backup)
    await world.open_channel()
    assert await world.dispatch() == 0
    assert {state for _, _, state in await states(world)} == {"delivered"}
    settled = await world.pool.fetch("SELECT text FROM attempt WHERE reason = 'delivered_elsewhere'")
    assert len(settled) == 2
    assert "the fallback delivered it while this channel was broken" in settled[0]["text"]


async def test_fixed_channel_is_shown_the_state_of_a_live_incident(world: World, backup: OpenChannel) -> None:
    await world.take_in(opened_warn())
    await break_it(world)
    await world.take_in(escalated(), acknowledged(3, 40, OPEN_CRITICAL))
    await world.dispatcher().hand_over_once()
    await world.dispatch(backup)
    await world.open_channel()
    assert await world.dispatch() == 1
    (text,) = texts_of(world, "B0TEST")
    assert text.startswith("🔴 CRITICAL drift, current state")
    assert "acknowledged by Ada Lovelace" in text
    assert "The channel backup received it while this one was broken." in text


async def test_fixed_channel_is_reported_what_is_over_if_the_fallback_was_not(
    world: World, backup: OpenChannel
) -> None:
    await world.take_in(opened_critical())
    await break_it(world)
    await world.take_in(resolved())
    await world.open_channel()
    assert await world.dispatch() == 1
    assert texts_of(world, "B0TEST")[0].startswith("🟢 Resolved before it could be delivered")


async def test_fallback_that_is_broken_too_shows_what_is_undeliverable_and_tells_it_when_fixed(
    world: World, backup: OpenChannel
) -> None:
    await world.take_in(opened_critical())
    await break_it(world)
    world.slack.play(ARCHIVED)
    assert await world.dispatch(backup) == 1
    await world.take_in(opened_critical(incident=2))
    await world.dispatcher().hand_over_once()
    assert {state for _, _, state in await states(world)} == {"parked"}
    assert len(await states(world)) == 4
    world.clock.advance(15 * 60)
    await world.dispatcher().revive_once(backup)
    assert await world.dispatch(backup) == 2


async def test_channels_that_stand_in_for_each_other_make_no_cycle(world: World, backup: OpenChannel) -> None:
    async with transaction(world.pool) as connection:
        await set_fallback(connection, backup.channel_id, world.channel.channel_id)
    await world.take_in(opened_critical())
    await break_it(world)
    world.slack.play(ARCHIVED)
    await world.dispatch(backup)
    for _ in range(3):
        await world.dispatcher().hand_over_once()
    assert await states(world) == [("backup", "opened", "parked"), ("slack", "opened", "parked")]


async def test_fallback_of_a_broken_fallback_is_reported(world: World, backup: OpenChannel) -> None:
    """A ring of three, of which one works."""
    async with transaction(world.pool) as connection:
        last = await connection.fetchval(
            "INSERT INTO channel (name, kind, fingerprint) VALUES ('last', 'slack_webhook', 'l') RETURNING channel_id"
        )
        await set_fallback(connection, backup.channel_id, last)
        await set_fallback(connection, last, world.channel.channel_id)
    await world.take_in(opened_critical())
    await break_it(world)
    world.slack.play(ARCHIVED)
    await world.dispatch(backup)
    for _ in range(3):
        await world.dispatcher().hand_over_once()
    assert await world.dispatch(OpenChannel(last, "last", "slack_webhook", "l", backup.channel)) == 1
    assert await states(world) == [
        ("backup", "opened", "parked"), ("last", "opened", "delivered"), ("slack", "opened", "parked")
    ]  # fmt: skip
    assert "Sent here because the channel backup is broken" in world.slack.texts[0]


async def test_fallback_with_a_route_of_its_own_is_reported_once(world: World, backup: OpenChannel) -> None:
    await world.pool.execute("INSERT INTO route (name, channel_id) VALUES ('also', $1)", backup.channel_id)
    await world.take_in(opened_critical())
    await break_it(world)
    assert await world.dispatch(backup) == 1
    assert await states(world) == [("backup", "opened", "delivered"), ("slack", "opened", "parked")]


async def test_thirty_undeliverable_steps_go_out_as_one_message_that_tells_its_state(world: World) -> None:
    await world.take_in(opened_warn())
    world.slack.play(ARCHIVED)
    await world.dispatch()
    for number in range(2, 30, 2):
        await world.take_in(resolved(sequence=number), escalated(sequence=number + 1))
    await world.open_channel()
    assert await world.dispatch() == 1
    (text,) = world.slack.texts
    assert text.startswith("🔴 CRITICAL drift, escalated")
    assert "… 23 more …" in text
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_message_that_came_back_to_a_channel_broken_meanwhile_is_parked_with_the_others(world: World) -> None:
    """Two were under way; one learned that the channel is archived, the other got a 503."""
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    dispatcher = world.dispatcher()
    first = await dispatcher._claim(world.channel)
    second = await dispatcher._claim(world.channel)
    assert first is not None
    assert second is not None
    world.slack.play(ARCHIVED, Script(status=503))
    for claim in (first, second):
        await dispatcher._note(world.channel, claim, await dispatcher._send(world.channel, claim))
    assert [row["parked_because"] for row in await world.deliveries()] == ["channel_broken"] * 2
