"""What opens together is one message where people read it: on a real PostgreSQL, with the stand-in for Slack."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Ending, Script
from sentryml_notifier.channel_registry import OpenChannel
from sentryml_notifier.channels.base import Identity
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.delivery.reminders import remind, remind_of_long_drift
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.store.outbox import claim_deliveries
from tests.integration.notifier.bot_notifier import CHANNEL, title
from tests.integration.notifier.conftest import LEASE, World, make_channel
from tests.integration.notifier.test_lease_takeover import claim_and_vanish
from tests.support.http_server import answer, http_server
from tests.unit.notifier.builders import (
    OPEN_WARN,
    SEEN_WARN,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
)

WAIT, WINDOW = 20, 600
HOUR = 3600


@pytest.fixture
async def grouped(world: World) -> World:
    """A notifier that groups."""
    world.grouping = Grouping(timedelta(seconds=WAIT), timedelta(seconds=WINDOW))
    return world


@pytest.fixture
async def talk(grouped: World) -> World:
    """One whose only channel is a bot."""
    await grouped.open_bot()
    return grouped


def named(number: int) -> dict[str, Any]:
    return {"incident": 100 + number, "model_id": f"model-{number}"}


def opened(numbers: Iterable[int]) -> list[Transition]:
    return [opened_warn(**named(number)) for number in numbers]


async def pass_time(world: World, seconds: float) -> int:
    """Let time pass, and send what is due; how many messages."""
    world.clock.advance(seconds)
    return await world.dispatch()


async def a_group(world: World, size: int) -> None:
    """A group whose first message was sent."""
    await world.take_in(*opened(range(size)))
    assert await world.dispatch() == 0
    assert await pass_time(world, WAIT) == 1


async def test_two_hundred_are_one_message(grouped: World) -> None:
    await a_group(grouped, 200)
    assert grouped.slack.titles == ["🟠 Warning · 200 models drift"]
    rows = await grouped.deliveries()
    assert {row["state"] for row in rows} == {"delivered"}
    assert len({row["group_id"] for row in rows}) == 1
    assert len({row["send_id"] for row in await grouped.attempts()}) == 1
    (group,) = await grouped.pool.fetch("SELECT * FROM alert_group")
    assert f"/incidents?group={group['group_id']}" in grouped.slack.texts[0]
    assert await pass_time(grouped, 2 * WINDOW) == 0


async def test_two_are_two_messages(grouped: World) -> None:
    await grouped.take_in(*opened(range(2)))
    assert await pass_time(grouped, WAIT - 2) == 0
    assert await pass_time(grouped, 1) == 2, "20 s after they happened"
    assert sorted(grouped.slack.titles) == ["🟠 Warning: drift · model-0", "🟠 Warning: drift · model-1"]
    assert {row["group_id"] for row in await grouped.deliveries()} == {None}


@pytest.mark.parametrize("late", [15, HOUR])
async def test_what_comes_late_waits_for_half_the_time(grouped: World, late: int) -> None:
    grouped.clock.advance(late)
    await grouped.take_in(*opened(range(2)))
    assert await pass_time(grouped, WAIT / 2 - 1) == 0
    await grouped.take_in(*opened([2]))
    assert await pass_time(grouped, 1) == 1
    assert grouped.slack.titles == ["🟠 Warning · 3 models drift"]


async def test_what_opens_later_is_one_message_when_the_group_closes(grouped: World) -> None:
    await a_group(grouped, 3)
    for number in range(3, 40):
        await grouped.take_in(*opened([number]))
        assert await pass_time(grouped, 10) == 0
    assert await pass_time(grouped, WINDOW) == 1
    assert grouped.slack.titles[1:] == ["🟠 Warning · 37 more models drift"]
    assert len({row["group_id"] for row in await grouped.deliveries()}) == 1


async def test_the_third_within_ten_minutes_forms_a_group_with_the_two_that_were_sent(grouped: World) -> None:
    for number in range(2):
        await grouped.take_in(*opened([number]))
        assert await pass_time(grouped, 200) == 1
    await grouped.take_in(*opened([2, 3]))
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles[2:] == ["🟠 Warning · 2 more models drift"]
    assert len({row["group_id"] for row in await grouped.deliveries()}) == 1


async def test_escalations_are_messages_of_their_own_and_bounded(grouped: World) -> None:
    await a_group(grouped, 10)
    await grouped.take_in(escalated(**named(1)))
    assert await pass_time(grouped, WAIT) == 1
    await grouped.take_in(*(escalated(**named(number)) for number in range(2, 9)))
    assert await pass_time(grouped, WAIT) == 0
    assert await pass_time(grouped, WINDOW / 2) == 1
    assert grouped.slack.titles[1:] == [
        "🔴 CRITICAL drift, escalated · model-1",
        "🔴 CRITICAL, escalated · 7 models drift",
    ]


async def test_where_only_critical_alerts_go_an_escalation_is_what_opens(grouped: World) -> None:
    await grouped.pool.execute("UPDATE route SET least_severity = 'critical'")
    await grouped.take_in(*opened(range(20)))
    for number in range(20):
        await grouped.take_in(escalated(**named(number)))
    assert await grouped.dispatch() == 0
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles == ["🔴 CRITICAL, escalated · 20 models drift"]
    grouped.clock.advance(WINDOW)
    await grouped.take_in(*(resolved(3, **named(number)) for number in range(20)))
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles[1:] == ["🟢 Over: all 20 incidents"]


async def test_a_critical_alert_does_not_wait_for_a_group_of_warnings_to_close(grouped: World) -> None:
    await a_group(grouped, 3)
    await grouped.take_in(opened_warn(**named(3)), opened_critical(**named(4)))
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles[1:] == ["🔴 CRITICAL · 2 more models drift"]


async def test_ends_are_one_message_and_an_hour_later_one_says_what_is_left(grouped: World) -> None:
    await a_group(grouped, 6)
    grouped.clock.advance(WINDOW)
    for number in range(2):
        await grouped.take_in(resolved(from_=OPEN_WARN, **named(number)))
        assert await pass_time(grouped, 60) == 0
    assert await pass_time(grouped, HOUR) == 1
    assert grouped.slack.titles[1:] == ["⚪ Over: 2 of 6 incidents"]
    await grouped.take_in(*(resolved(from_=OPEN_WARN, **named(number)) for number in range(2, 6)))
    assert await grouped.dispatch() == 0
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles[2:] == ["🟢 Over: all 6 incidents"]
    assert {row["state"] for row in await grouped.deliveries()} == {"delivered"}


async def test_a_message_of_a_group_that_may_have_arrived_is_repeated_as_one(grouped: World) -> None:
    await grouped.take_in(*opened(range(5)))
    grouped.slack.play(Script(ending=Ending.CUT, accept=True))
    assert await pass_time(grouped, WAIT) == 1
    await grouped.take_in(*opened([7]))
    assert await pass_time(grouped, 10) == 1
    assert grouped.slack.titles == ["🟠 Warning · 5 models drift", "🟠 Warning · 5 models drift (repeat)"]
    assert await pass_time(grouped, WINDOW) == 1  # the one that came later is no repeat
    assert grouped.slack.titles[2:] == ["🟠 Warning: drift · model-7"]


async def test_what_a_crashed_sender_had_claimed_is_taken_over_whole(grouped: World) -> None:
    await grouped.take_in(*opened(range(5)))
    grouped.clock.advance(WAIT)
    claim = await grouped.dispatcher()._claim(grouped.channel)
    assert claim is not None
    assert await pass_time(grouped, 59) == 0
    assert await pass_time(grouped, 2) == 1
    assert grouped.slack.titles == ["🟠 Warning · 5 models drift (repeat)"]
    outcomes = [row["outcome"] for row in await grouped.attempts()]
    assert sorted(outcomes) == ["delivered"] * 5 + ["interrupted"] * 5


async def test_what_waited_for_a_broken_channel_is_one_message(grouped: World) -> None:
    grouped.slack.play(Script(status=404, body="no_service"))
    await grouped.take_in(*opened([0]))
    await pass_time(grouped, WAIT)
    for number in range(1, 5):
        grouped.clock.advance(3 * WINDOW)
        await grouped.take_in(*opened([number]))
    await grouped.open_channel()
    assert await grouped.dispatch() == 1
    assert grouped.slack.titles == ["🟠 Warning · 5 models drift"]
    assert "Sent 2 h after it happened" in grouped.slack.texts[0]


async def test_reminders_of_a_group_are_one_message_and_quiet_steps_none(grouped: World) -> None:
    await grouped.pool.execute("UPDATE route SET remind_after_seconds = 3600")
    await a_group(grouped, 5)
    await grouped.take_in(acknowledged(**named(0)))
    grouped.clock.advance(HOUR)
    assert await remind(grouped.pool, grouped.clock) == 4
    assert await grouped.dispatch() == 0
    assert await pass_time(grouped, WAIT) == 1
    assert grouped.slack.titles[1:] == ["🟠 Warning, not acknowledged · 4 models drift"]


async def test_the_delivery_reports_name_the_group(grouped: World) -> None:
    await a_group(grouped, 3)
    async with transaction(grouped.pool) as connection:
        claims = await claim_deliveries(connection, grouped.clock.now)
    published = [claim.message for claim in claims]
    assert all(isinstance(each, Delivery) for each in published)
    found = {(each.group_id, each.group_number) for each in published if isinstance(each, Delivery)}
    (group,) = await grouped.pool.fetch("SELECT group_id, group_number FROM alert_group")
    assert found == {(group["group_id"], group["group_number"])}


async def test_a_bot_holds_one_conversation_of_the_group(talk: World) -> None:
    await a_group(talk, 4)
    await talk.take_in(*(acknowledged(**named(number)) for number in range(4)))
    assert await talk.dispatch() == 0
    dropped = [row for row in await talk.deliveries() if row["parked_because"] == "not_needed"]
    assert [row["kind"] for row in dropped] == ["acknowledged"] * 4
    await talk.take_in(*(escalated(sequence=3, from_=SEEN_WARN, **named(number)) for number in range(2)))
    assert await pass_time(talk, WAIT) == 1
    talk.clock.advance(WINDOW)
    await talk.take_in(*(resolved(sequence=4, **named(number)) for number in range(4)))
    assert await pass_time(talk, WAIT) == 1
    (root,) = talk.slack.workspace.roots(CHANNEL)
    assert title(root) == "🟠 Warning · 4 models drift"
    assert [title(each) for each in talk.slack.workspace.replies(root)] == [
        "🔴 CRITICAL, escalated · 2 models drift",
        "🟢 Over: all 4 incidents",
    ]
    await talk.edit()


async def test_a_bot_finds_the_message_of_a_group_that_may_have_arrived(talk: World) -> None:
    await talk.take_in(*opened(range(4)))
    talk.clock.advance(WAIT)
    claim = await talk.dispatcher()._claim(talk.channel)
    assert claim is not None
    await talk.dispatcher()._send(talk.channel, claim)  # type: ignore[arg-type]
    assert await pass_time(talk, 61) == 1
    assert len(talk.slack.workspace.roots(CHANNEL)) == 1


async def test_an_incident_that_was_sent_alone_keeps_its_conversation(talk: World) -> None:
    await talk.take_in(*opened([0]))
    assert await pass_time(talk, WAIT) == 1
    await talk.take_in(*opened([1, 2, 3]))
    assert await pass_time(talk, WAIT) == 1
    await talk.take_in(escalated(**named(0)))
    assert await pass_time(talk, WAIT) == 1
    alone, group = sorted(talk.slack.workspace.roots(CHANNEL), key=title)[::-1]
    found = {title(root): [title(each) for each in talk.slack.workspace.replies(root)] for root in (alone, group)}
    assert sorted(map(len, found.values())) == [0, 1]
    assert found["🟠 Warning: drift · model-0"] == ["🔴 CRITICAL drift, escalated · model-0"]


async def test_a_webhook_gets_each_incident_by_itself_at_once_with_the_id_of_the_group(grouped: World) -> None:
    async with http_server(answer(204)) as receiver:
        secret = {"url": f"http://{receiver.authority}/in", "signing_secrets": [f"whsec_{'b' * 32}"]}
        tools = grouped.tools(receiver.authority)
        channel_id = await make_channel(grouped, "ops", "webhook", b"")
        opened_one = KINDS["webhook"].opened(tools, Identity(channel_id, "ops"), {}, secret)
        grouped.channel = OpenChannel(channel_id, "ops", "webhook", "1", opened_one, for_people=False)
        await grouped.take_in(*opened(range(3)))
        assert await grouped.dispatch() == 3
        assert await pass_time(grouped, WINDOW + 1) == 0
        await grouped.take_in(opened_warn(**named(9)), resolved(from_=OPEN_WARN, **named(0)))
        assert await grouped.dispatch() == 2
    bodies = [orjson.loads(each.body)["data"] for each in receiver.received]
    groups = {(each["transition"]["model_id"], each["transition"]["kind"]): each["group_id"] for each in bodies}
    first = groups["model-0", "opened"]
    assert first is not None
    assert {first} == {groups["model-1", "opened"], groups["model-2", "opened"], groups["model-0", "resolved"]}
    assert groups["model-9", "opened"] not in (None, first)


async def test_a_fallback_gets_what_a_storm_left_in_few_messages(grouped: World) -> None:
    backup = await grouped.open_fallback()
    grouped.slack.play(Script(status=410, body="channel_is_archived"))
    await a_group(grouped, 50)
    await grouped.dispatcher().hand_over_once()
    assert await grouped.dispatch(backup) == 1
    (text,) = grouped.slack.texts
    assert "50 models" in text
    assert "Sent here because the channel slack is broken" in text


async def test_a_question_behind_an_alert_that_was_refused_takes_it_along(grouped: World) -> None:
    await a_group(grouped, 3)
    grouped.slack.play(Script(status=400, body="invalid_payload", times=2))
    await grouped.take_in(escalated(**named(1)))
    assert await pass_time(grouped, WAIT) == 2
    assert [row["parked_because"] for row in await grouped.deliveries() if row["sequence"] > 1] == ["message_refused"]
    grouped.clock.advance(86_400)
    assert await remind_of_long_drift(grouped.pool, grouped.clock, 1) == 3
    assert await pass_time(grouped, WAIT) == 2
    assert {row["state"] for row in await grouped.deliveries()} == {"delivered"}
    assert any("CRITICAL drift, escalated · model-1" in each for each in grouped.slack.titles)


async def test_an_alert_waits_while_a_reminder_of_its_incident_is_under_way(grouped: World) -> None:
    await grouped.pool.execute("UPDATE route SET remind_after_seconds = 3600")
    await a_group(grouped, 3)
    await grouped.take_in(acknowledged(**named(0)), acknowledged(**named(2)))
    await pass_time(grouped, HOUR)
    assert await remind(grouped.pool, grouped.clock) == 1
    assert await grouped.dispatch() == 0, "it waits for others"
    grouped.clock.advance(WAIT)
    under_way = await claim_and_vanish(grouped)
    await grouped.take_in(escalated(**named(1)))
    assert await pass_time(grouped, LEASE.total_seconds() - 1) == 0
    assert await pass_time(grouped, 1) == 1
    assert grouped.slack.titles[1:] == ["🔴 CRITICAL drift, escalated · model-1 (repeat)"]
    assert {row["send_id"] for row in await grouped.attempts() if row["outcome"] == "interrupted"} == {
        under_way.sending.send_id
    }
