"""Crashes and company: a lease is taken over, a duplicate is marked, two dispatchers never get in each other's way."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest

from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Ending, Script
from sentryml_notifier.channel_registry import OpenChannel
from sentryml_notifier.delivery.dispatcher import to_the_end
from sentryml_notifier.domain.delivery import LONGEST_SEND, Delivered, Outcome, RetryState, SendResult
from sentryml_notifier.store.queue import queue
from sentryml_notifier.store.queue.queue import Claim, Cleared
from tests.integration.notifier.conftest import LEASE, World
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn, resolved

OK = SendResult(Outcome.DELIVERED, "ok", "Accepted by Slack.", 200)


async def claim_and_vanish(world: World) -> Claim:
    """What is left of a dispatcher that is killed between claim and note."""
    claim = await world.claim(world.channel)
    assert isinstance(claim, Claim)
    return claim


async def test_lease_of_a_vanished_sender_is_taken_over_and_the_message_marked(world: World) -> None:
    await world.take_in(opened_critical())
    lost = await claim_and_vanish(world)
    world.clock.advance(LEASE.total_seconds() - 1)
    assert await world.dispatch() == 0, "the lease holds"
    world.clock.advance(1)
    assert await world.dispatch() == 1
    assert world.slack.titles == ["🔴 CRITICAL drift · flights-delay (repeat)"]
    attempts = await world.attempts()
    assert [row["outcome"] for row in attempts] == ["interrupted", "delivered"]
    assert attempts[0]["send_id"] == lost.sending.send_id
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


async def test_sender_that_comes_back_too_late_changes_nothing_but_is_written_down(world: World) -> None:
    await world.take_in(opened_critical())
    lost = await claim_and_vanish(world)
    world.clock.advance(LEASE.total_seconds())
    taken = await claim_and_vanish(world)
    async with transaction(world.pool) as connection:
        await queue.note_attempt(connection, lost.delivery_ids, lost.sending.send_id, OK, world.clock.now)
        ours = await queue.set_next(connection, lost.sending.send_id, Delivered(world.clock.now, RetryState()), OK.text)
    assert not ours
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["send_id"]) == ("sending", taken.sending.send_id)
    assert [row["outcome"] for row in await world.attempts()] == ["interrupted", "delivered"]


async def test_noting_again_after_a_commit_whose_answer_was_lost_adds_nothing(world: World) -> None:
    await world.take_in(opened_critical())
    claim = await claim_and_vanish(world)
    dispatcher = world.dispatcher()
    for _ in range(2):
        await dispatcher._note(world.channel, claim, OK)
    assert [row["outcome"] for row in await world.attempts()] == ["delivered"]
    assert [row["state"] for row in await world.deliveries()] == ["delivered"]


async def freeze_after_claim(world: World, seconds: float) -> None:
    """One dispatch by a process that is frozen between its claim and what it does with it."""
    dispatcher = world.dispatcher()
    claimed = dispatcher._claim

    async def frozen_after_claim(channel: OpenChannel) -> Claim | Cleared | None:
        claim = await claimed(channel)
        world.clock.advance(seconds)
        return claim

    dispatcher._claim = frozen_after_claim  # type: ignore[method-assign]
    assert await dispatcher.dispatch_one(world.channel)


TOO_LONG = (LEASE - LONGEST_SEND).total_seconds() + 1


async def test_sender_that_was_frozen_with_its_claim_does_not_send_and_gives_it_back(world: World) -> None:
    """Its lease is nearly over: another may take over while the message is still on its way."""
    await world.take_in(opened_critical())
    await freeze_after_claim(world, TOO_LONG)
    assert world.slack.store.requests == []
    assert await world.dispatch() == 1, "nobody has to wait for the end of the lease"
    assert world.slack.titles == ["🔴 CRITICAL drift · flights-delay"], "nothing was sent before: no repeat"
    attempts = [(row["outcome"], row["reason"]) for row in await world.attempts()]
    assert attempts == [("not_accepted", "claimed_too_long_ago"), ("delivered", "ok")]
    (delivery,) = await world.deliveries()
    assert (delivery["attempts"], delivery["failures"], delivery["possibly_sent"]) == (2, 0, False)
    assert (await world.channel_row())["failures"] == 0, "the channel has nothing to do with it"


async def test_claim_that_is_given_back_after_an_uncertain_attempt_stays_a_repeat(world: World) -> None:
    world.slack.play(Script(ending=Ending.RESET, accept=True))
    await world.take_in(opened_critical())
    await world.dispatch()
    world.clock.advance(1)
    await freeze_after_claim(world, TOO_LONG)
    assert await world.dispatch() == 1
    assert [title.endswith("(repeat)") for title in world.slack.titles] == [False, True]


async def test_claim_that_another_has_taken_over_is_not_given_back(world: World) -> None:
    await world.take_in(opened_critical())
    dispatcher = world.dispatcher()
    claimed = dispatcher._claim

    async def overtaken(channel: OpenChannel) -> Claim | Cleared | None:
        claim = await claimed(channel)
        world.clock.advance(LEASE.total_seconds())
        await claim_and_vanish(world)
        return claim

    dispatcher._claim = overtaken  # type: ignore[method-assign]
    await dispatcher.dispatch_one(world.channel)
    (delivery,) = await world.deliveries()
    assert (delivery["state"], delivery["possibly_sent"]) == ("sending", True)
    assert [row["outcome"] for row in await world.attempts()] == ["interrupted", "not_accepted"]


async def test_step_behind_a_vanished_sender_waits_for_its_lease(world: World) -> None:
    await world.take_in(opened_warn())
    await claim_and_vanish(world)
    await world.take_in(escalated())
    assert await world.dispatch() == 0
    world.clock.advance(LEASE.total_seconds())
    assert await world.dispatch() == 2
    assert [title.endswith("(repeat)") for title in world.slack.titles] == [True, False]


async def test_stop_lets_the_message_under_way_arrive_and_be_written_down(world: World) -> None:
    world.slack.play(Script(delay_seconds=0.3))
    await world.take_in(opened_critical())
    running = asyncio.create_task(world.dispatcher().run())
    await world.under_way()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (delivery,) = await world.deliveries()
    assert delivery["state"] == "delivered"


async def test_work_is_done_to_its_end_even_when_cancelled_twice() -> None:
    finished = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.05)
        finished.set()

    task = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()


async def test_two_dispatchers_deliver_everything_once_unless_marked(world: World) -> None:
    """30 incidents of two steps, four workers on each of two dispatchers, a Slack that fails in every way.

    Nothing is lost; per incident the order holds; a message comes twice only if the later one says so.
    """
    trouble = [
        Script(), Script(status=503), Script(ending=Ending.RESET, accept=True), Script(status=500, accept=True),
        Script(ending=Ending.CUT, accept=True), Script(ending=Ending.RESET, accept=False), Script(),
        Script(status=429, headers={"Retry-After": "0"}),
    ]  # fmt: skip
    world.slack.play(*(trouble * 6))
    dispatchers = [asyncio.create_task(world.dispatcher(workers=4).run()) for _ in range(2)]
    for number in range(1, 31):
        await world.take_in(opened_warn(incident=number, model_id=f"model-{number}"))
        await world.take_in(escalated(incident=number, model_id=f"model-{number}"))
    for _ in range(400):
        world.clock.advance(0.5)
        await asyncio.sleep(0.02)
        if all(row["state"] == "delivered" for row in await world.deliveries()):
            break
    for task in dispatchers:
        task.cancel()
    await asyncio.gather(*dispatchers, return_exceptions=True)
    assert Counter(row["state"] for row in await world.deliveries()) == {"delivered": 60}
    assert_order_and_marks(world.slack.titles, 30)


def assert_order_and_marks(titles: list[str], incidents: int) -> None:
    for number in range(1, incidents + 1):
        mine = [title for title in titles if title.removesuffix(" (repeat)").endswith(f"· model-{number}")]
        opened = [title for title in mine if "Warning" in title]
        worse = [title for title in mine if "CRITICAL" in title]
        assert opened, f"model-{number}: opened is lost"
        assert worse, f"model-{number}: escalated is lost"
        assert mine == opened + worse, f"model-{number}: out of order: {mine}"
        for same in (opened, worse):
            assert all(title.endswith("(repeat)") for title in same[1:]), (
                f"model-{number}: doubled without a word: {same}"
            )


async def test_ledger_cannot_be_rewritten(world: World) -> None:
    await world.take_in(opened_critical())
    await world.dispatch()
    for statement in ("UPDATE attempt SET text = 'x'", "DELETE FROM attempt", "DELETE FROM transition"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added"):
            await world.pool.execute(statement)


async def test_message_is_made_again_from_the_ledger_alone(world: World) -> None:
    """A dispatcher that knows nothing but the database tells the whole story."""
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.take_in(resolved())
    await world.dispatch()
    assert "It lasted\n" in world.slack.texts[1].replace("*", "")
    assert "5 h 12 min" in world.slack.texts[1]
