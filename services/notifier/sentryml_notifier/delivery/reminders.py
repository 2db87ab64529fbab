"""The timer of reminders: looks periodically for alerts that nobody has acknowledged, for what was acknowledged and is
still critical, and for drift that lasts, and queues a reminder of each.

A reminder is a delivery like any other from then on. Any number of these timers may run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection, Pool, transaction
from sentryml_notifier.domain.reminder_schedule import next_long_drift, next_reminder
from sentryml_notifier.domain.routing import Route
from sentryml_notifier.store.reminders import (
    Alert,
    LongDrift,
    NewReminder,
    end_reminding,
    insert_reminder,
    list_alerts,
    list_long_drift,
    list_still_critical,
)
from sentryml_notifier.store.routes import list_routes

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 15.0


async def keep_reminding(pool: Pool, clock: Clock, on_work: Callable[[], None], long_drift_days: int) -> None:
    """Remind until cancelled; of drift each `long_drift_days` that it lasts, or never if that is 0."""
    while True:
        # While PostgreSQL is away nothing is due; /readyz says why.
        with suppress(Unavailable):
            made = await remind(pool, clock) + await remind_of_still_critical(pool, clock)
            if long_drift_days:
                made += await remind_of_long_drift(pool, clock, long_drift_days)
            if made:
                on_work()
        await asyncio.sleep(CHECK_EVERY_SECONDS)


async def remind(pool: Pool, clock: Clock) -> int:
    """Make the reminders that are due; return how many."""
    now = clock()
    async with transaction(pool) as connection:
        await end_reminding(connection)
    async with transaction(pool) as connection:
        alerts, routes = await list_alerts(connection, now), await read_routes(connection)
    due = [(each, next_reminder(each.sent, now)) for each in alerts if not is_held(routes, each, now)]
    return await _make(pool, "reminders_made", [each.reminder(number) for each, number in due if number], now)


async def remind_of_still_critical(pool: Pool, clock: Clock) -> int:
    """Make the reminders of what was acknowledged and is still critical that are due; return how many."""
    now = clock()
    async with transaction(pool) as connection:
        due = await list_still_critical(connection, now)
    return await _make(pool, "still_critical_reminders_made", due, now)


async def remind_of_long_drift(pool: Pool, clock: Clock, every_days: int) -> int:
    """Make the long-drift questions that are due; return how many."""
    now = clock()
    async with transaction(pool) as connection:
        lasting, routes = await list_long_drift(connection, every_days, now), await read_routes(connection)
    due = [
        (each, next_long_drift(each.began_at, each.reminded_days, every_days, now))
        for each in lasting
        if not is_held(routes, each, now)
    ]
    questions = [each.question(days, days // every_days) for each, days in due if days]
    return await _make(pool, "long_drift_questions_made", questions, now)


async def _make(pool: Pool, event: str, reminders: Sequence[NewReminder], now: datetime) -> int:
    made = 0
    for reminder in reminders:
        # One at a time: nobody waits for the locks of all channels.
        async with transaction(pool) as connection:
            made += await insert_reminder(connection, reminder, now)
    if made:
        log.info(event, reminders=made)
    return made


async def read_routes(connection: Connection) -> dict[UUID, Route]:
    """The routes by their ids."""
    return {route.route_id: route for route in await list_routes(connection)}


def is_held(routes: Mapping[UUID, Route], about: Alert | LongDrift, now: datetime) -> bool:
    """Whether the route of an alert holds now: then it is reminded of when the hold ends."""
    route = routes.get(about.route_id)
    if route is None or (about.critical and not route.hold.holds_critical):
        return False
    return route.hold.held_until(about.model_id, now) is not None
