"""Which models the overview shows first, and how many of each kind there are: sorted by PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.overview import Overview, Section
from sentryml_incidents.domain.system.missed_evaluations import Schedule, not_evaluated_since
from sentryml_incidents.store.models import read_overview, read_unevaluated
from tests.integration.incidents.conftest import register
from tests.unit.incidents.builders import at, quick

NOW, IDS = at(30), UUID(int=0)
ALL = 100


async def a_model(
    pool: Pool,
    model_id: str,
    level: str | None = "ok",
    *,
    psi: float = 0.01,
    severity: str | None = None,
    state: str = "open",
    silent: bool = False,
    evaluated_minute: float = 30,
    **settings: Any,
) -> None:
    """A model that was evaluated last with `level`, and has a live incident of `severity`, if any."""
    await register(pool, model_id, quick(**settings))
    if silent:
        await pool.execute(
            "UPDATE monitor SET silence = $2 WHERE model_id = $1", model_id, {"since": at(1).isoformat()}
        )
    if level:
        await pool.execute(
            """
            INSERT INTO latest_evaluation (model_id, evaluation_id, evaluated_at, level, psi, evaluation)
            VALUES ($1, $2, $3, $4, $5, '{}')
            """,
            model_id, uuid5(IDS, model_id), at(evaluated_minute), level, psi,
        )  # fmt: skip
    if severity:
        await pool.execute(
            """
            INSERT INTO incident (incident_id, model_id, state, severity, opened_at, psi, peak_psi, peak_at, sequence,
                                  last_kind, acknowledged_by, reopened)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $5, 1, 'opened', '[]', 0)
            """,
            uuid5(IDS, model_id), model_id, state, severity, at(2), psi,
        )  # fmt: skip


@pytest.fixture
async def models(pool: Pool) -> None:
    """In the order of their names."""
    missed: dict[str, Any] = {"evaluated_minute": 1}
    await a_model(pool, "a-fine")
    await a_model(pool, "b-off", "critical", enabled=False, silent=True, severity="critical")
    await a_model(pool, "c-warming-up", "insufficient_data")
    await a_model(pool, "d-new", None)
    await a_model(pool, "e-missed", "warn", **missed)
    await a_model(pool, "f-silent", "warn", silent=True, severity="warn")
    await a_model(pool, "g-warned", "warn", severity="warn", psi=0.19)
    await a_model(pool, "h-warned-more", "warn", severity="warn", psi=0.2)
    await a_model(pool, "i-seen", "critical", severity="critical", state="acknowledged", psi=5.0)
    await a_model(pool, "j-critical", "critical", severity="critical", psi=0.4)
    await a_model(pool, "k-missed-while-drifting", "warn", severity="warn", psi=0.11, **missed)
    await a_model(pool, "l-silent-and-critical", "critical", silent=True, severity="critical", psi=0.3)
    await a_model(pool, "m-better-but-not-over", "ok", severity="warn", psi=0.05)
    await a_model(pool, "n-not-confirmed-yet", "warn", psi=0.5)


async def overview(
    pool: Pool, part: str = "", only: Section | None = None, start: int = 0, limit: int = ALL
) -> Overview:
    async with transaction(pool) as connection:
        return await read_overview(connection, NOW, part, only, start, limit)


async def test_the_worst_comes_first_and_all_others_by_name(models: None, pool: Pool) -> None:
    found = await overview(pool)
    assert [model_id[0] for model_id in found.listed] == [*"jlihgkmn", "f", "e", "c", "d", "a", "b"]
    assert found.counts == {
        Section.DRIFTING: 8, Section.SILENT: 1, Section.NOT_EVALUATED: 1, Section.NOT_COMPARED: 2, Section.OK: 1,
        Section.OFF: 1,
    }  # fmt: skip
    assert found.listed["f-silent"] is Section.SILENT
    assert found.models == found.matching == found.found(None) == 14
    assert found.unevaluated.expected == 12
    assert found.unevaluated.since == {"e-missed": at(1), "k-missed-while-drifting": at(1)}
    async with transaction(pool) as connection:
        assert await read_unevaluated(connection, NOW) == found.unevaluated


async def test_a_page_is_a_part_of_them_and_the_counts_are_of_all(models: None, pool: Pool) -> None:
    found = await overview(pool, start=6, limit=4)
    assert [model_id[0] for model_id in found.listed] == [*"mnfe"]
    assert found.matching == 14
    assert (await overview(pool, start=14)).listed == {}


async def test_a_section_alone_keeps_the_counts_of_what_matches(models: None, pool: Pool) -> None:
    found = await overview(pool, "SILENT", Section.SILENT)
    assert list(found.listed) == ["f-silent"]
    assert (found.counts[Section.DRIFTING], found.counts[Section.SILENT], found.matching) == (1, 1, 2)
    assert (found.found(Section.SILENT), found.models) == (1, 14)


async def test_without_models_there_is_nothing(pool: Pool) -> None:
    found = await overview(pool)
    assert (found.listed, found.models, found.matching, found.unevaluated.expected) == ({}, 0, 0, 0)


@pytest.mark.parametrize("every", [10.0, 60.0, 3600.0])
async def test_evaluations_are_missing_from_the_same_moment_on_as_on_the_page_of_a_model(
    pool: Pool, every: float
) -> None:
    await a_model(pool, "a", evaluated_minute=0, every_seconds=every)
    in_force = await pool.fetchval("SELECT at FROM monitor_version")
    schedule = Schedule(at(0), timedelta(seconds=every), in_force)
    late = max(at(0), in_force) + timedelta(seconds=3 * every + min(every, 60) + 30)
    for more in (0, 1):
        now = late + timedelta(microseconds=more)
        async with transaction(pool) as connection:
            found = await read_unevaluated(connection, now)
        assert found.since.get("a") == not_evaluated_since(schedule, now)
        assert bool(found.since) == bool(more)
