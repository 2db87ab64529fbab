"""What time does by itself, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.store.evaluations import find_latest_evaluation, list_evaluations
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import Life, StillClock
from tests.unit.incidents.builders import MODEL, at


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


async def test_old_evaluations_go_and_evidence_stays(pool: Pool, life: Life, clock: StillClock) -> None:
    await life.sees("critical", "ok", "ok", "ok")
    clock.now = at(3) + timedelta(days=90)
    await Timer(pool, 90, clock).tick()
    async with transaction(pool) as connection:
        kept = await list_evaluations(connection, MODEL, None, 10)
        assert await find_latest_evaluation(connection, MODEL) is not None
    assert [each.evaluated_at for each in kept] == [at(4), at(3)]
    assert await pool.fetchval("SELECT count(*) FROM evidence") == 3
