"""A channel's pace is a schedule in the ledger: replicas share it, a restart does not forget it, criticals go first."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import RateLimit, Script
from sentryml_notifier.channel_registry import SettingsChannel
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.store.channels import register_channel
from tests.integration.notifier.conftest import World
from tests.support.eventually import eventually
from tests.unit.notifier.builders import opened_critical, opened_warn

ONE_A_SECOND = Rate(1.0, 3)


async def test_a_burst_leaves_at_once_and_the_rest_one_a_second(world: World) -> None:
    await world.open_channel(rate=ONE_A_SECOND)
    await world.take_in(*(opened_warn(incident=number, model_id=f"model-{number}") for number in range(1, 8)))
    assert await world.dispatch() == 3
    world.clock.advance(0.9)
    assert await world.dispatch() == 0, "each dispatch is a new dispatcher: the ledger alone knows the pace"
    for _ in range(4):
        world.clock.advance(1)
        assert await world.dispatch() == 1
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_criticals_that_come_later_overtake_warnings_that_wait_for_their_turn(world: World) -> None:
    await world.open_channel(rate=ONE_A_SECOND)
    await world.take_in(*(opened_warn(incident=number, model_id=f"warn-{number}") for number in range(1, 11)))
    assert await world.dispatch() == 3
    await world.take_in(*(opened_critical(incident=100 + number, model_id=f"critical-{number}") for number in range(4)))
    for _ in range(11):
        world.clock.advance(1)
        await world.dispatch()
    severities = [title.split(" · ")[1].split("-")[0] for title in world.slack.titles]
    assert severities == ["warn"] * 3 + ["critical"] * 4 + ["warn"] * 7


async def test_what_slack_asks_for_holds_beside_the_pace(world: World) -> None:
    await world.open_channel(rate=ONE_A_SECOND)
    world.slack.play(Script(status=429, body="rate_limited", headers={"Retry-After": "30"}))
    await world.take_in(opened_critical(incident=1), opened_critical(incident=2))
    assert await world.dispatch() == 1
    world.clock.advance(29)
    assert await world.dispatch() == 0
    world.clock.advance(3)
    assert await world.dispatch() == 2


async def test_replicas_with_many_workers_keep_one_pace_together(world: World) -> None:
    """Eight workers of two dispatchers at a Slack that refuses what is too much: nothing is ever refused."""
    await world.open_channel(rate=ONE_A_SECOND)
    world.slack.store.limit(RateLimit(per_second=0.001, burst=5), 0.0)
    await world.take_in(*(opened_warn(incident=number, model_id=f"model-{number}") for number in range(1, 20)))
    dispatchers = [world.dispatcher(workers=4) for _ in range(2)]

    async def turn() -> int:
        """All workers look at once, until none finds anything."""
        found = 0
        while some := sum(
            await asyncio.gather(*(each.dispatch_one(world.channel) for each in dispatchers for _ in range(4)))
        ):
            found += some
        return found

    assert [await turn()] == [3]
    for _ in range(2):
        world.clock.advance(1)
        assert await turn() == 1
    assert Counter(request.status for request in world.slack.store.requests) == {200: 5}


async def test_worker_wakes_when_the_channel_is_free_again(world: World) -> None:
    """Not at its next look, which may be far: the poll of this dispatcher is longer than the test waits."""
    await world.open_channel(rate=Rate(20.0, 1))
    await world.take_in(*(opened_warn(incident=number, model_id=f"model-{number}") for number in range(1, 6)))
    dispatcher = world.dispatcher(poll_seconds=600)
    running = asyncio.create_task(dispatcher.run())

    async def all_told() -> bool:
        world.clock.advance(0.05)
        return len(world.slack.titles) == 5

    try:
        await eventually(all_told, what="five messages")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_pace_of_the_settings_is_kept_with_the_channel(world: World) -> None:
    before = world.given
    given = SettingsChannel(
        before.name, before.kind, before.setting, before.field, before.value, {"messages_per_second": 7.0}
    )
    async with transaction(world.pool) as connection:
        await register_channel(connection, given.name, given.kind, given.setting, given.fingerprint, given.settings)
    (opened,) = (await world.registry(None, given).read()).values()
    assert opened.rate == Rate(7.0, 3)
    await world.take_in(opened_critical())
    assert await world.dispatcher().dispatch_one(opened)
    full_at = (await world.channel_row())["bucket_full_at"]
    assert full_at == world.clock.now + timedelta(seconds=1 / 7)
