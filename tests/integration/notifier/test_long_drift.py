"""Long-drift questions: each week that an incident lives, acknowledged or not, people are asked what it is."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from sentryml_common.clock import system_clock
from sentryml_common.contracts.transition import Severity, Standing, State, Transition, TransitionKind
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.delivery.reminders import keep_reminding, remind, remind_of_long_drift
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import Slack, World
from tests.integration.notifier.test_reminders import AFTER, UNSEEN, let_remind
from tests.integration.notifier.test_service import notifier, settings_of, titles_of
from tests.unit.notifier.builders import (
    ADA,
    OPEN_WARN,
    a_transition,
    acknowledged,
    escalated,
    opened_warn,
    reopened,
    resolved,
)

__all__ = ["api"]

DAY, WEEK = 86_400, 7 * 86_400


def lasting(days: int, how: str = "🟠 Warning: drift") -> str:
    return f"{how} for {days} days · flights-delay"


async def begin(world: World, *more: Transition) -> None:
    await world.take_in(opened_warn(), *more)
    await world.dispatch()


def titles(world: World) -> list[str]:
    """All but the first, which is the alert itself."""
    return world.slack.titles[1:]


async def later(world: World, seconds: float = WEEK) -> int:
    """Let time pass, remind and dispatch; return how many long-drift questions were made."""
    world.clock.advance(seconds)
    made = await remind_of_long_drift(world.pool, world.clock, 7)
    await world.dispatch()
    return made


async def test_asks_each_week_though_it_is_acknowledged(world: World, api: Api) -> None:
    await begin(world, acknowledged())
    assert [await later(world, WEEK - DAY), await later(world, DAY), await later(world, DAY)] == [0, 1, 0]
    assert await later(world, 6 * DAY) == 1
    assert titles(world) == [lasting(7), lasting(14)]
    first = world.slack.texts[1]
    assert "Is this the new normal, was it normal, or is it still a fault?" in first
    assert "Answer on the page of incident #42: https://sentryml.example/incidents/42" in first
    assert "Acknowledged by Ada Lovelace. That does not mute alerts." in first
    assert "Sent" not in first, "it is not late"
    rows = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert [(row["long_drift_days"], row["reminder"]) for row in rows] == [(14, 2), (7, 1), (0, 0)]


async def test_after_an_outage_only_the_newest_is_sent(world: World) -> None:
    await begin(world)
    assert await later(world, 30 * DAY) == 1
    assert titles(world) == [lasting(28)]


async def test_those_that_wait_on_a_broken_channel_become_one_message(world: World, api: Api) -> None:
    await begin(world)
    world.slack.play(Script(status=410, body="channel_is_archived"))
    assert [await later(world), await later(world), await later(world)] == [1, 1, 1]
    assert titles(world) == []
    await api.ask("POST", f"/v1/channels/{world.channel.channel_id}:test", 200)
    await world.dispatch()
    assert titles(world)[1:] == [lasting(21)]
    assert {row["state"] for row in await world.deliveries()} == {"delivered"}


async def test_several_at_once_make_it_once(world: World) -> None:
    await begin(world)
    world.clock.advance(WEEK)
    made = await asyncio.gather(*(remind_of_long_drift(world.pool, world.clock, 7) for _ in range(4)))
    assert sum(made) == 1


async def test_an_escalation_in_the_same_week_is_not_asked_about_again(world: World) -> None:
    await begin(world)
    assert await later(world) == 1
    await world.take_in(escalated(minutes=7 * 24 * 60 + 5))
    assert await later(world, DAY) == 0
    assert await later(world, 6 * DAY) == 1
    assert titles(world)[-1] == lasting(14, "🔴 CRITICAL drift")
    assert "2026-11-23 02:15 UTC\n" in world.slack.texts[-1], "since it began"


async def test_what_is_over_is_not_asked_about_and_what_reopens_begins_anew(world: World) -> None:
    await begin(world)
    assert await later(world) == 1
    await world.take_in(resolved(from_=OPEN_WARN, minutes=8 * 24 * 60))
    await world.dispatch()
    assert await later(world) == 0
    await world.take_in(reopened(minutes=15 * 24 * 60))
    await world.dispatch()
    assert [await later(world), await later(world)] == [0, 1]
    assert titles(world)[-1] == lasting(7)


async def test_while_evaluation_is_paused_nobody_says_that_it_still_drifts(world: World) -> None:
    def pausing(kind: TransitionKind, sequence: int) -> Transition:
        days = 5 + sequence
        return a_transition(
            kind, sequence=sequence, minutes=days * 24 * 60, from_=OPEN_WARN, to=OPEN_WARN, cause="no_data", alert=False
        )

    await begin(world, pausing(TransitionKind.EVALUATION_PAUSED, 2))
    assert await later(world, 9 * DAY) == 0
    await world.take_in(pausing(TransitionKind.EVALUATION_RESUMED, 3))
    assert await later(world, DAY) == 1


async def test_one_that_waits_is_not_sent_once_it_is_over(world: World, api: Api) -> None:
    await begin(world)
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    closed = a_transition(
        TransitionKind.CLOSED, sequence=2, minutes=7 * 24 * 60 + 1, from_=OPEN_WARN, cause="new_normal", actor=ADA,
        to=Standing(state=State.CLOSED, severity=Severity.WARN),
    )  # fmt: skip
    await world.take_in(closed)
    await later(world, 60)
    assert titles(world) == ["⚪ Closed: new normal · flights-delay"]
    rows = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    (reminder,) = [row for row in rows if row["long_drift_days"]]
    assert reminder["parked_because"] == "not_needed"


async def test_one_that_waits_survives_an_acknowledgement(world: World) -> None:
    await begin(world)
    world.slack.play(Script(status=503))
    assert await later(world) == 1
    await world.take_in(acknowledged())
    await later(world, 60)
    assert titles(world) == [lasting(7)]


async def test_a_route_that_is_off_asks_nothing(world: World, api: Api) -> None:
    await begin(world)
    await let_remind(api, enabled=False)
    assert await later(world) == 0


async def test_it_takes_no_reminder_from_an_alert_that_nobody_has_acknowledged(world: World, api: Api) -> None:
    await let_remind(api, remind_times=2)
    await begin(world)
    assert await later(world) == 1
    for _ in range(3):
        world.clock.advance(AFTER)
        await remind(world.pool, world.clock)
        await world.dispatch()
    assert titles(world) == [lasting(7), UNSEEN, UNSEEN]


async def test_zero_days_switch_it_off(world: World, api: Api) -> None:
    await let_remind(api)
    await begin(world)
    world.clock.advance(WEEK)
    made = asyncio.Event()
    timer = asyncio.create_task(keep_reminding(world.pool, world.clock, made.set, 0))
    await made.wait()
    timer.cancel()
    await asyncio.wait({timer})
    assert [row["long_drift_days"] for row in await world.deliveries()] == [0, 0]


async def test_the_service_asks_by_itself_and_after_a_kill_not_again(
    database_url: str, slack: Slack, world: World, tmp_path: Path
) -> None:
    async def began(days: int, model_id: str, **more: Any) -> None:
        world.clock.now = system_clock() - timedelta(days=days)
        await world.take_in(opened_warn(at=world.clock.now, model_id=model_id, **more))
        await world.dispatch()

    settings = settings_of("127.0.0.1:1", database_url, slack, long_drift_question_days="7")
    await began(8, "first")
    with notifier(tmp_path, **settings) as service:
        assert (await titles_of(slack, "first", 2))[1] == "🟠 Warning: drift for 7 days · first"
        await service.stop(signal.SIGKILL)
    await began(15, "second", incident=43)
    with notifier(tmp_path, **settings):
        assert (await titles_of(slack, "second", 2))[1] == "🟠 Warning: drift for 14 days · second"
    assert len([title for title in slack.titles if "for 7 days · first" in title]) == 1
    assert await world.pool.fetchval("SELECT count(*) FROM delivery WHERE long_drift_days > 0") == 2
