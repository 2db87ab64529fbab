"""What time does by itself, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation, list_evaluations
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import Life, StillClock
from tests.unit.incidents.builders import MODEL, MONDAY, an_evaluation, at, quick


async def states(pool: Pool) -> list[str]:
    async with transaction(pool) as connection:
        return [incident.state for incident in await list_incidents(connection, IncidentFilter(), None, 10)]


async def test_a_resolved_incident_is_closed_after_seven_days_and_once(
    pool: Pool, life: Life, clock: StillClock
) -> None:
    await life.sees("critical", "ok")
    timers = [Timer(pool, 90, clock) for _ in range(4)]
    clock.now = at(2) + timedelta(days=7, seconds=-1)
    await timers[0].tick()
    assert await states(pool) == ["resolved"]
    clock.now = at(2) + timedelta(days=7)
    await asyncio.gather(*(timer.tick() for timer in timers))
    assert await states(pool) == ["closed"]
    assert await pool.fetchval("SELECT count(*) FROM transition WHERE kind = 'closed'") == 1


async def test_a_live_incident_is_never_closed_by_time(pool: Pool, life: Life, clock: StillClock) -> None:
    await life.sees("critical")
    clock.now = at(0) + timedelta(days=400)
    await Timer(pool, 90, clock).tick()
    assert await states(pool) == ["open"]


async def test_old_evaluations_go_by_the_week_and_evidence_stays(pool: Pool, life: Life, clock: StillClock) -> None:
    """Two evaluations of one week, two of the next: a week goes when the whole of it is old enough, and not before."""
    await life.sees("critical", "ok")
    life.minute = 7 * 24 * 60
    await life.sees("ok", "ok")
    next_monday = (MONDAY - timedelta(days=MONDAY.weekday()) + timedelta(days=7)).replace(hour=0, minute=0)
    clock.now = next_monday + timedelta(days=90, seconds=-1)
    await Timer(pool, 90, clock).tick()
    assert len(await evaluation_times(pool)) == 4
    clock.now = next_monday + timedelta(days=90)
    await asyncio.gather(*(Timer(pool, 90, clock).tick() for _ in range(10)))
    assert await evaluation_times(pool) == [at(7 * 24 * 60 + 2), at(7 * 24 * 60 + 1)]
    assert await pool.fetchval("SELECT count(*) FROM evidence") == 3
    async with transaction(pool) as connection:
        assert await find_latest_evaluation(connection, MODEL) is not None


async def test_a_week_in_use_is_dropped_at_a_later_turn(pool: Pool, life: Life, clock: StillClock) -> None:
    await life.sees("critical", "ok")
    clock.now = MONDAY + timedelta(days=200)
    async with transaction(pool) as reader:
        assert len(await list_evaluations(reader, MODEL, None, 10)) == 2
        with pytest.raises(Unavailable):
            await Timer(pool, 90, clock).tick()
        assert len(await list_evaluations(reader, MODEL, None, 10)) == 2
    await Timer(pool, 90, clock).tick()
    assert await evaluation_times(pool) == []


async def test_an_evaluation_of_a_week_that_was_dropped_is_taken_at_the_next_attempt(
    pool: Pool, life: Life, clock: StillClock
) -> None:
    """As after a long outage, while the timer drops what is too old."""
    consumer = EvaluationConsumer(pool, quick())
    await consumer.take_all([an_evaluation("ok", at(1))])
    clock.now = MONDAY + timedelta(days=200)
    await Timer(pool, 90, clock).tick()
    with pytest.raises(Unavailable):
        await consumer.take_all([an_evaluation("ok", at(2))])
    await consumer.take_all([an_evaluation("ok", at(2))])
    assert await evaluation_times(pool) == [at(2)]


async def evaluation_times(pool: Pool) -> list[datetime]:
    async with transaction(pool) as connection:
        return [each.evaluated_at for each in await list_evaluations(connection, MODEL, None, 10)]
