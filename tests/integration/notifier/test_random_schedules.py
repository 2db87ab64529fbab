"""Random schedules: steps of incidents, failures of Slack, crashes, reminders, holds and pauses, in any order.

Whatever the order, nothing raises, no audit finds anything lost or parked wrongly, and in the end all is delivered. A
seed is a schedule, the same in every run; other ones are tried by adding them here.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from sentryml_common.contracts.transition import SYSTEM, Actor, Severity, Standing, State, Transition, TransitionKind
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Ending, Script
from sentryml_notifier.channel_registry import OpenChannel
from sentryml_notifier.delivery.auditor import audit_once
from sentryml_notifier.delivery.reminders import remind, remind_of_long_drift, remind_of_still_critical
from sentryml_notifier.domain.grouping import Grouping
from sentryml_notifier.domain.routing import ALERTING
from sentryml_notifier.store.audit import Fault
from sentryml_notifier.store.fallback import set_fallback
from sentryml_notifier.store.holds import hold_again
from sentryml_notifier.store.routes import list_routes
from tests.integration.notifier.bot_notifier import failing
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import ADA, a_transition, score_why

K, S, V = TransitionKind, State, Severity
SEEDS = [
    ("webhook", 6),  # once ended the notifier: a question about long drift behind an alert that was refused
    ("webhook", 26),  # once ended the notifier: an alert of a group, behind a reminder that is under way
    ("bot", 17),  # the same in a thread
    ("bot", 1),
]
HAPPENINGS = 120
HOUR = 3600
ANSWERS = (
    Script(status=429, headers={"Retry-After": "30"}, body="rate_limited"),
    Script(status=500),
    Script(status=503),
    Script(ending=Ending.RESET),
    Script(ending=Ending.RESET, accept=True),
    Script(status=400, body="invalid_payload", times=2),
    Script(status=404, body="no_service"),
    Script(status=200, body="strange"),
)
"""Of Slack's webhook, when it fails."""
ERRORS = (
    "internal_error",
    "invalid_blocks",
    "channel_not_found",
    "thread_not_found",
    "message_not_found",
    "msg_too_long",
)
METHODS = ("chat.postMessage", "chat.postMessage", "chat.update", "conversations.history", "conversations.replies")
HOLDS = ((), ("daily 03:00-05:00",), ("daily 00:00-23:00",))


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that an incident may take; a state or severity of None is as before."""

    kind: TransitionKind
    state: State | None = None
    severity: Severity | None = None
    alert: bool = True
    actor: Actor = SYSTEM


QUIET = tuple(
    Turn(kind, alert=False) for kind in (K.EVALUATION_PAUSED, K.EVALUATION_RESUMED, K.MONITOR_CHANGED, K.NOTED)
)


def turns_of(now: Standing | None) -> tuple[Turn, ...]:
    """What may happen to an incident; twice in the list is twice as often."""
    if now is None:
        return Turn(K.OPENED, S.OPEN, V.WARN), Turn(K.OPENED, S.OPEN, V.WARN), Turn(K.OPENED, S.OPEN, V.CRITICAL)
    if now.state is S.CLOSED:
        return ()
    if now.state is S.RESOLVED:
        return Turn(K.REOPENED, S.OPEN), Turn(K.CLOSED, S.CLOSED, alert=False, actor=ADA)
    ends, worse = (Turn(K.RESOLVED, S.RESOLVED),) * 2, Turn(K.WORSENED, S.OPEN)
    changed = Turn(K.ESCALATED, S.OPEN, V.CRITICAL)
    if now.severity is V.CRITICAL:
        changed = Turn(K.DEESCALATED, severity=V.WARN, alert=False)
    if now.state is S.OPEN:
        return *ends, worse, changed, changed, *QUIET, Turn(K.ACKNOWLEDGED, S.ACKNOWLEDGED, alert=False, actor=ADA)
    taken_back = Turn(K.UNACKNOWLEDGED, S.OPEN, alert=False, actor=ADA)
    return *ends, worse, changed, changed, *QUIET, taken_back, Turn(K.CLOSED, S.CLOSED, actor=ADA)


class Incident:
    """One that takes a random step each time it is asked."""

    def __init__(self, number: int) -> None:
        self._number, self._sequence = number, 0
        self._now: Standing | None = None

    def step(self, schedule: Schedule) -> list[Transition]:
        """Its next step, a moment ago; none once it is closed."""
        turns, before = turns_of(self._now), self._now
        if not turns:
            return []
        turn = schedule.rng.choice(turns)
        state, severity = turn.state or (before and before.state), turn.severity or (before and before.severity)
        self._now = Standing(state=state, severity=severity)
        self._sequence += 1
        late = timedelta(seconds=schedule.rng.choice((0, 0, 1, 5, 30, 400)))
        return [
            a_transition(
                turn.kind,
                sequence=self._sequence,
                from_=before,
                to=self._now,
                actor=turn.actor,
                alert=turn.alert,
                why=(score_why(0.3 if severity is V.CRITICAL else 0.14),) if turn.kind in ALERTING else (),
                model_id=f"model-{self._number}",
                incident=100 + self._number,
                at=schedule.world.clock.now - late,
            )
        ]


class Schedule:
    """What happens to a notifier on `channels`, of which the first has the route and the second is its fallback."""

    def __init__(self, world: World, rng: random.Random, channels: list[OpenChannel]) -> None:
        self.world, self.rng, self._channels, self._deaths = world, rng, channels, True
        self._incidents = [Incident(number) for number in range(rng.choice((3, 6, 15)))]

    async def go_on(self) -> None:
        """Let something happen, and mostly the notifier send what is due then."""
        happenings: dict[Callable[[], Awaitable[None]], int] = {
            self._steps: 40, self._slack_fails: 15, self._reminders: 20,
            self._holds_change: 2, self._channel_is_tried: 3, self._time_passes: 15,
        }  # fmt: skip
        (happens,) = self.rng.choices(list(happenings), happenings.values())
        await happens()
        if self.rng.random() < 0.7:
            await self.send()
        found = (await audit_once(self.world.pool, self.world.clock)).findings
        assert not [each for each in found if each.fault is not Fault.NOT_SERVED], "nobody dispatches for hours here"

    async def end(self) -> None:
        """Let Slack work and nothing be held, until all is delivered that can be."""
        self._deaths = False
        self.world.slack.api.stop_playing()
        await self.world.pool.execute("UPDATE route SET hold_hours = '{}'")
        for _ in range(60):
            self.world.clock.advance(HOUR)
            await self._channel_is_tried()
            await self.send()

    async def send(self) -> None:
        """Send what is due; now and then a notifier is killed over a message, and another one goes on."""
        dispatcher = self.world.dispatcher()
        await dispatcher.hand_over_once()
        for channel in self._channels:
            while await (self.world.claim if self._dies() else dispatcher.dispatch_one)(channel):
                pass
        if len(self._channels) == 1:
            await self.world.edit()

    async def _steps(self) -> None:
        chosen = self.rng.sample(self._incidents, self.rng.randint(1, min(5, len(self._incidents))))
        await self.world.take_in(*(step for incident in chosen for step in incident.step(self)))

    async def _slack_fails(self) -> None:
        self.world.slack.play(self.rng.choice(ANSWERS))
        self.world.slack.api.play(failing(self.rng.choice(ERRORS), self.rng.choice(METHODS)))

    def _dies(self) -> bool:
        return self._deaths and self.rng.random() < 0.1

    async def _reminders(self) -> None:
        for work in (remind, remind_of_still_critical):
            await work(self.world.pool, self.world.clock)
        await remind_of_long_drift(self.world.pool, self.world.clock, 1)

    async def _holds_change(self) -> None:
        async with transaction(self.world.pool) as connection:
            await connection.execute("UPDATE route SET hold_hours = $1", list(self.rng.choice(HOLDS)))
            for route in await list_routes(connection):
                await hold_again(connection, route, self.world.clock.now)

    async def _channel_is_tried(self) -> None:
        for channel in self._channels:
            await self.world.dispatcher().revive_once(channel)

    async def _time_passes(self) -> None:
        self.world.clock.advance(self.rng.choice((1, 10, 20, 60, 300, 900, HOUR, 6 * HOUR, 25 * HOUR)))


async def with_fallback(world: World) -> list[OpenChannel]:
    """The webhook of the world, and another one: each is the other's fallback."""
    backup = await world.open_fallback()
    async with transaction(world.pool) as connection:
        await set_fallback(connection, backup.channel_id, world.channel.channel_id)
    return [world.channel, backup]


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
async def test_whatever_happens_nothing_is_lost_or_stuck(world: World, kind: str, seed: int) -> None:
    world.grouping = Grouping(wait=timedelta(seconds=20), window=timedelta(seconds=600))
    channels = [await world.open_bot()] if kind == "bot" else await with_fallback(world)
    await world.pool.execute(
        "UPDATE route SET remind_after_seconds = 900, remind_times = 3, remind_acknowledged_after_seconds = 7200"
    )
    schedule = Schedule(world, random.Random(seed), channels)
    for _ in range(HAPPENINGS):
        await schedule.go_on()
    await schedule.end()
    left = await world.pool.fetch(
        """
        SELECT incident_id, sequence, kind, state, parked_because, due_at, held_until, reminder FROM delivery
         WHERE state <> 'delivered' AND coalesce(parked_because, '') NOT IN ('not_needed', 'message_refused')
        """
    )
    assert not left, "all that waits has a time, and all that Slack does not refuse arrives"
