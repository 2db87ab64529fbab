"""Reminders while an incident stays open and unseen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sentryml_common.clock import system_clock
from sentryml_common.contracts.transition import TransitionKind
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.delivery.reminders import remind
from sentryml_notifier.domain.delivery import Delivered, RetryState
from sentryml_notifier.store.queue import queue
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import Slack, World
from tests.integration.notifier.test_lease_takeover import claim_and_vanish
from tests.integration.notifier.test_service import notifier, settings_of, titles_of
from tests.unit.notifier.builders import (
    ADA,
    OPEN_CRITICAL,
    OPEN_WARN,
    SEEN_WARN,
    a_transition,
    acknowledged,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
)

__all__ = ["api"]

AFTER = 600
WARNING, CRITICAL = "🟠 Warning: drift · flights-delay", "🔴 CRITICAL drift, escalated · flights-delay"
UNSEEN = "🟠 Warning: drift, not acknowledged · flights-delay"


async def let_remind(api: Api, **what: Any) -> None:
    (route,) = (await api.ask("GET", "/v1/routes", 200))["items"]
    body = {"name": "slack", "channel_id": route["channel_id"], "remind_after_seconds": AFTER, **what}
    await api.ask("PUT", f"/v1/routes/{route['route_id']}", 200, json=body)


async def later(world: World, seconds: float = AFTER) -> int:
    """Let time pass, remind and dispatch; return how many reminders were made."""
    world.clock.advance(seconds)
    made = await remind(world.pool, world.clock)
    await world.dispatch()
    return made


async def alerted(world: World, api: Api, **what: Any) -> None:
    await let_remind(api, **what)
    await world.take_in(opened_warn())
    await world.dispatch()


async def test_reminds_each_such_time_and_at_most_the_set_number_times(world: World, api: Api) -> None:
    await alerted(world, api, remind_times=2)
    assert await later(world, AFTER - 1) == 0
    assert [await later(world, 1), await later(world), await later(world), await later(world)] == [1, 1, 0, 0]
    assert world.slack.titles == [WARNING, UNSEEN, UNSEEN]
    assert "Reminder 2 of at most 2" in world.slack.texts[2]
    assert "Sent" not in world.slack.texts[2], "a reminder is not late"
    rows = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert [row["reminder"] for row in rows] == [2, 1, 0]


async def test_without_being_asked_for_nothing_reminds(world: World, api: Api) -> None:
    await alerted(world, api, remind_after_seconds=None)
    assert await later(world, 86_400) == 0


async def test_route_that_is_changed_while_an_incident_is_open_reminds_of_it(world: World, api: Api) -> None:
    await alerted(world, api, remind_after_seconds=None)
    await let_remind(api)
    assert await later(world) == 1
    await let_remind(api, enabled=False)
    assert await later(world) == 0


async def test_acknowledging_ends_reminders_and_silences_nothing(world: World, api: Api) -> None:
    await alerted(world, api)
    await world.take_in(acknowledged())
    assert await later(world) == 0
    await world.take_in(escalated(sequence=3, from_=SEEN_WARN))
    await world.dispatch()
    assert world.slack.titles == [WARNING, CRITICAL]
    assert await later(world) == 1, "the newer alert is unseen"
    assert world.slack.titles[2] == "🔴 CRITICAL drift, not acknowledged · flights-delay"


async def test_mark_that_is_taken_back_starts_the_time_again(world: World, api: Api) -> None:
    await alerted(world, api)
    taken_back = a_transition(
        TransitionKind.UNACKNOWLEDGED,
        sequence=3, minutes=20, from_=SEEN_WARN, to=OPEN_WARN, actor=ADA, cause="requested", alert=False,
    )  # fmt: skip
    await world.take_in(acknowledged(), taken_back)
    assert await later(world, 20 * 60 + AFTER - 2) == 0
    assert await later(world, 1) == 1


async def test_end_ends_reminders(world: World, api: Api) -> None:
    await alerted(world, api)
    await world.take_in(resolved(from_=OPEN_WARN))
    await world.dispatch()
    assert await later(world) == 0
    assert await world.pool.fetchval("SELECT count(*) FROM delivery WHERE reminding") == 0


async def test_several_at_once_make_it_once(world: World, api: Api) -> None:
    await alerted(world, api)
    world.clock.advance(AFTER)
    made = await asyncio.gather(*(remind(world.pool, world.clock) for _ in range(4)))
    assert sum(made) == 1
    await world.dispatch()
    assert world.slack.titles == [WARNING, UNSEEN]


async def test_alert_that_has_not_arrived_is_not_reminded_of(world: World, api: Api) -> None:
    world.slack.play(Script(status=503, times=5))
    await alerted(world, api)
    assert await later(world) == 0


async def test_reminder_that_waits_is_not_sent_once_somebody_has_seen_it(world: World, api: Api) -> None:
    await alerted(world, api)
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    await world.take_in(acknowledged())
    await later(world)
    assert world.slack.titles == [WARNING]
    (reminder, _) = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert (reminder["state"], reminder["parked_because"]) == ("parked", "not_needed")
    assert reminder["last_text"] == "Not sent: what it reminded of has been seen, or is over."
    problem = await api.ask("POST", f"/v1/deliveries/{reminder['delivery_id']}:retry", 409)
    assert "has been acknowledged" in problem["detail"]
    (channel,) = (await api.ask("GET", "/v1/channels", 200))["items"]
    assert (channel["parked"], channel["waiting"]) == (0, 0)
    await world.open_channel()  # as a restart does
    assert await world.dispatch() == 0


async def test_news_behind_a_waiting_reminder_takes_its_place_and_does_not_wait_for_it(world: World, api: Api) -> None:
    await alerted(world, api)
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    await world.take_in(escalated(minutes=11))
    assert await world.dispatch() == 1, "although the reminder backs off"
    assert world.slack.titles == [WARNING, CRITICAL]
    assert "Not delivered before" not in world.slack.texts[1]
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_news_behind_a_reminder_that_is_under_way_waits_for_it_and_is_no_repeat(world: World, api: Api) -> None:
    await alerted(world, api)
    world.clock.advance(AFTER)
    await remind(world.pool, world.clock)
    under_way = await claim_and_vanish(world)
    await world.take_in(escalated())
    assert await world.dispatch() == 0
    async with transaction(world.pool) as connection:
        sent = Delivered(world.clock(), RetryState())
        assert await queue.set_next(connection, under_way.sending.send_id, sent, "Accepted.")
    assert await world.dispatch() == 1
    assert world.slack.titles == [WARNING, CRITICAL]


async def test_end_behind_a_waiting_reminder_is_a_plain_end(world: World, api: Api) -> None:
    await let_remind(api)
    await world.take_in(opened_critical())
    await world.dispatch()
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    await world.take_in(resolved(from_=OPEN_CRITICAL))
    await world.dispatch()
    assert world.slack.titles[1:] == ["🟢 Resolved · flights-delay"]


async def test_reminder_on_a_broken_channel_is_parked_and_leaves_when_it_is_fixed(world: World, api: Api) -> None:
    await alerted(world, api)
    world.slack.play(Script(status=410, body="channel_is_archived"))
    await world.take_in(opened_warn(incident=43, model_id="other"))
    await world.dispatch()
    assert await later(world) == 1
    assert world.slack.titles == [WARNING]
    await api.ask("POST", f"/v1/channels/{world.channel.channel_id}:test", 200)
    assert await world.dispatch() == 2
    assert UNSEEN in world.slack.titles


async def multiply_last_reminder(world: World, copies: int) -> None:
    """As if as many other incidents of the same history had a reminder that waits, all older than what comes now."""
    await world.pool.execute(
        """
        WITH copied AS (
            SELECT number, gen_random_uuid() AS incident_id FROM generate_series(1, $1) AS number
        ), steps AS (
            INSERT INTO transition (transition_id, incident_id, incident_number, model_id, sequence, message,
                                    step_kind, to_state, happened_at, alert, taken_in_at)
            SELECT gen_random_uuid(), c.incident_id, 1000 + number, model_id, sequence, message, step_kind,
                   to_state, happened_at, alert, taken_in_at
              FROM transition, copied AS c
            RETURNING *
        )
        INSERT INTO delivery (delivery_id, transition_id, route_id, channel_id, incident_id, sequence, kind, reminder,
                              urgency, due_at, created_at)
        SELECT gen_random_uuid(), s.transition_id, d.route_id, d.channel_id, s.incident_id, d.sequence, d.kind,
               d.reminder, d.urgency, d.due_at, d.created_at - interval '1 s'
          FROM delivery AS d JOIN steps AS s USING (sequence)
         WHERE d.reminder > 0
        """,
        copies,
    )


async def test_news_behind_however_many_obsolete_reminders_leaves(world: World, api: Api) -> None:
    await alerted(world, api)
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    await world.take_in(acknowledged())
    await multiply_last_reminder(world, 1_100)
    world.clock.advance(AFTER)
    await world.take_in(resolved(sequence=3, from_=SEEN_WARN))
    await world.dispatch()
    assert world.slack.titles == [WARNING, "🟢 Resolved · flights-delay"]
    rows = await world.pool.fetch("SELECT parked_because, count(*) FROM delivery WHERE reminder > 0 GROUP BY 1")
    assert {row["parked_because"]: row["count"] for row in rows} == {"not_needed": 1_100, None: 1}


async def test_reminders_that_wait_keep_no_other_alert_from_its_own(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentryml_notifier.store.reminders.ALERTS_AT_A_TIME", 1)
    await alerted(world, api)
    world.clock.advance(AFTER)
    assert await remind(world.pool, world.clock) == 1, "it waits: nothing is dispatched"
    await world.take_in(opened_warn(incident=43, model_id="other"))
    dispatcher = world.dispatcher()
    world.slack.play(Script(), Script(status=503, times=20))
    assert await dispatcher.dispatch_one(world.channel)
    assert await later(world) == 1
    assert await world.pool.fetchval("SELECT count(*) FROM delivery WHERE reminder > 0") == 2


async def test_the_service_reminds_by_itself(
    database_url: str, slack: Slack, world: World, api: Api, tmp_path: Path
) -> None:
    await let_remind(api)
    world.clock.now = system_clock() - timedelta(hours=1)
    await world.take_in(opened_warn(at=world.clock.now))
    await world.dispatch()
    with notifier(tmp_path, **settings_of("127.0.0.1:1", database_url, slack)):
        assert (await titles_of(slack, "flights-delay", 2))[1] == UNSEEN
