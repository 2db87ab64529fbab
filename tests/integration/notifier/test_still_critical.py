"""Reminders of what was acknowledged and is still critical: after a day, and once a day from then on."""

from __future__ import annotations

from typing import Any

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.delivery.reminders import remind, remind_of_still_critical
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.integration.notifier.test_reminders import let_remind
from tests.unit.notifier.builders import (
    ADA,
    OPEN_CRITICAL,
    SEEN_WARN,
    a_transition,
    acknowledged,
    opened_critical,
    opened_warn,
    resolved,
)

__all__ = ["api"]

DAY = 86_400
STILL = "🔴 CRITICAL drift, acknowledged and still there · flights-delay"
SEEN_CRITICAL = acknowledged(from_=OPEN_CRITICAL).to


async def begin(world: World, *more: Any) -> None:
    """An alert that is delivered, and acknowledged a moment later; then what follows."""
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.take_in(acknowledged(minutes=1, from_=OPEN_CRITICAL), *more)
    await world.dispatch()


async def later(world: World, seconds: float = DAY) -> int:
    """Let time pass, remind and dispatch; return how many reminders were made."""
    world.clock.advance(seconds)
    made = await remind_of_still_critical(world.pool, world.clock)
    await world.dispatch()
    return made


async def test_reminds_once_a_day_though_it_is_acknowledged(world: World, api: Api) -> None:
    await begin(world)
    assert [await later(world, DAY - 60), await later(world, 120), await later(world, 3600)] == [0, 1, 0]
    assert [await later(world, DAY), await later(world, DAY)] == [1, 1]
    assert world.slack.titles[1:] == [STILL] * 3
    text = world.slack.texts[1]
    assert "Ada Lovelace acknowledged the incident, and it is still critical." in text
    assert "*Acknowledged since*\n2026-11-23 02:16 UTC" in text
    assert "It is reminded of once a day, as long as it is critical." in text
    rows = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert [row["reminder"] for row in rows] == [3, 2, 1, 0]
    assert await remind(world.pool, world.clock) == 0, "nobody is reminded to acknowledge it"


async def test_route_says_after_how_long_or_never(world: World, api: Api) -> None:
    await let_remind(api, remind_acknowledged_after_seconds=3600)
    await begin(world)
    assert [await later(world, 3700), await later(world, 3700)] == [1, 0]
    await let_remind(api, remind_acknowledged_after_seconds=None)
    assert await later(world, 3 * DAY) == 0


async def test_warnings_and_what_is_over_or_open_again_are_left_alone(world: World) -> None:
    await world.take_in(opened_warn(), acknowledged(minutes=1))
    await world.dispatch()
    assert await later(world) == 0


async def test_de_escalation_ends_it(world: World) -> None:
    calmer = a_transition(
        TransitionKind.DEESCALATED,
        sequence=3, minutes=70, from_=SEEN_CRITICAL, to=SEEN_WARN, cause="psi_below_critical", alert=False,
    )  # fmt: skip
    await begin(world, calmer)
    assert await later(world) == 0


async def test_one_that_waited_is_dropped_when_somebody_takes_the_acknowledgement_back(world: World, api: Api) -> None:
    await begin(world)
    world.clock.advance(DAY + 120)
    assert await remind_of_still_critical(world.pool, world.clock) == 1
    taken_back = a_transition(
        TransitionKind.UNACKNOWLEDGED,
        sequence=3, minutes=1500, from_=SEEN_CRITICAL, to=OPEN_CRITICAL, actor=ADA, cause="requested", alert=False,
    )  # fmt: skip
    await world.take_in(taken_back)
    await world.dispatch()
    assert STILL not in world.slack.titles
    (reminder, _) = (await api.ask("GET", "/v1/deliveries", 200))["items"]
    assert (reminder["state"], reminder["parked_because"]) == ("parked", "not_needed")


async def test_end_ends_it(world: World) -> None:
    await begin(world)
    await world.take_in(resolved(sequence=3, minutes=100, from_=SEEN_CRITICAL))
    await world.dispatch()
    assert await later(world) == 0
