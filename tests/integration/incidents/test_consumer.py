"""Evaluations into incidents, on a real PostgreSQL: twice, late, by two at once, and with what strangers send."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from sentryml_common.contracts.evaluation import MoreFrequent
from sentryml_common.errors import Unavailable
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.consumers.evaluations import ActivityConsumer, EvaluationConsumer
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation, list_evaluations
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.models import find_model
from sentryml_incidents.store.monitors import find_activity, find_monitor
from sentryml_incidents.store.snapshots import lock_snapshot
from sentryml_incidents.store.timeline import list_evidence, list_transitions
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.snapshot import EvidenceRole
from tests.integration.incidents.conftest import PUBLIC_URL, Life, register
from tests.unit.incidents.builders import MODEL, a_categorical_bin, an_activity, an_evaluation, at, quick, slowly

ALL = IncidentFilter()


async def timeline(pool: Pool) -> list[str]:
    """Every step of every incident, in the order of numbers and sequences."""
    async with transaction(pool) as connection:
        found = []
        for incident in reversed(await list_incidents(connection, ALL, None, 100)):
            steps = await list_transitions(connection, incident.incident_id, PUBLIC_URL, 0, 100)
            found += [f"{step.incident_number}.{step.sequence} {step.kind}" for step in steps]
    return found


async def test_a_drift_opens_escalates_and_resolves(pool: Pool, life: Life) -> None:
    await life.sees("ok", "warn", "critical", "ok")
    assert await timeline(pool) == ["1.1 opened", "1.2 escalated", "1.3 resolved"]
    async with transaction(pool) as connection:
        (incident,) = await list_incidents(connection, ALL, None, 10)
        snapshot = await lock_snapshot(connection, MODEL)
    assert snapshot is not None
    assert snapshot.incident == incident
    assert (incident.state, incident.severity, incident.resolved_at) == ("resolved", "critical", at(4))


async def test_the_same_evaluation_twice_is_the_same_as_once(pool: Pool, life: Life) -> None:
    await register(pool, "patient", quick(confirm_warn=2))
    evaluation = an_evaluation("warn", at(1), model_id="patient")
    consumer = EvaluationConsumer(pool, quick())
    assert (await consumer.take_all([evaluation]))[0].outcome is Outcome.APPLIED
    assert (await consumer.take_all([evaluation]))[0].outcome is Outcome.REPEATED
    await consumer.take_all([evaluation, evaluation])
    assert await timeline(pool) == []
    async with transaction(pool) as connection:
        assert len(await list_evaluations(connection, "patient", None, 10)) == 1


async def test_a_late_evaluation_is_kept_and_decides_nothing(pool: Pool, life: Life) -> None:
    await life.sees("ok", "ok", "ok")
    late = an_evaluation("critical", at(1.5))
    assert (await EvaluationConsumer(pool, quick()).take_all([late]))[0].outcome is Outcome.OLDER
    assert await timeline(pool) == []
    async with transaction(pool) as connection:
        kept = await list_evaluations(connection, MODEL, None, 10)
        model = await find_model(connection, MODEL)
    assert [each.evaluated_at for each in kept] == [at(3), at(2), at(1.5), at(1)]
    assert model is not None
    assert (model.level, model.evaluated_at) == ("ok", at(3))


async def test_two_consumers_at_once_make_one_live_incident(pool: Pool, life: Life) -> None:
    """Eight tasks take the same and neighbouring evaluations in any order, on connections of their own."""
    consumers = [EvaluationConsumer(pool, quick()) for _ in range(8)]
    evaluations = [an_evaluation("critical", at(minute)) for minute in (1, 2, 3)] * 3
    await asyncio.gather(
        *(consumers[index % 8].take_all([evaluation]) for index, evaluation in enumerate(evaluations)),
        *(consumers[index % 8].take_all([evaluation]) for index, evaluation in enumerate(reversed(evaluations))),
    )
    assert await timeline(pool) == ["1.1 opened"]


async def test_two_consumers_at_once_register_a_model_once(pool: Pool) -> None:
    settings = quick()
    await asyncio.gather(
        *(
            EvaluationConsumer(pool, settings).take_all([an_evaluation("ok", at(minute), model_id="new")])
            for minute in range(4)
        ),
        *(ActivityConsumer(pool, settings).take_all([an_activity("new", at(minute))]) for minute in range(4)),
    )
    async with transaction(pool) as connection:
        monitor = await find_monitor(connection, "new")
        activity = await find_activity(connection, "new")
    assert monitor is not None
    assert monitor.version == 1
    assert activity is not None
    assert activity.at == at(3)


async def test_a_new_model_gets_the_monitor_for_new_models(pool: Pool) -> None:
    await ActivityConsumer(pool, quick(enabled=False)).take_all([an_activity("quiet")])
    async with transaction(pool) as connection:
        model = await find_model(connection, "quiet")
    assert model is not None
    assert model.enabled is False
    assert (model.first_seen, model.last_seen) == (an_activity().first_seen, an_activity().last_seen)


async def test_older_activity_replaces_nothing(pool: Pool) -> None:
    consumer = ActivityConsumer(pool, quick())
    await consumer.take_all([an_activity(when=at(5)), an_activity(when=at(3))])
    await consumer.take_all([an_activity(when=at(4))])
    async with transaction(pool) as connection:
        activity = await find_activity(connection, MODEL)
    assert activity is not None
    assert activity.at == at(5)


async def test_evidence_is_whole_and_other_evaluations_are_thin(pool: Pool, life: Life) -> None:
    await life.sees("warn", psi=0.12)
    await life.sees("warn", psi=0.19)
    await life.sees("critical", "ok", "ok")
    async with transaction(pool) as connection:
        (incident,) = await list_incidents(connection, ALL, None, 10)
        evidence = await list_evidence(connection, incident.incident_id)
        thin = await list_evaluations(connection, MODEL, None, 10)
    assert [(each.role, each.evaluation.evaluated_at) for each in evidence] == [
        (EvidenceRole.OPENED, at(1)),
        (EvidenceRole.ESCALATED, at(3)),
        (EvidenceRole.PEAK, at(3)),
        (EvidenceRole.RESOLVED, at(4)),
    ]
    assert all(each.evaluation.signals[0].bins for each in evidence)
    # The newest has its bins, and the first of its hour.
    assert [len(each.signals[0].bins) for each in thin] == [4, 0, 0, 0, 4]


async def test_text_from_strangers_is_kept_as_it_came(pool: Pool, life: Life) -> None:
    """A category may hold any character, also U+0000, which PostgreSQL's text and jsonb refuse."""
    strange = "a\x00b'\"<script>\u2028\U0001f600"
    await life.sees("critical", bins=(a_categorical_bin(strange, 0.1, 0.5),))
    async with transaction(pool) as connection:
        (incident,) = await list_incidents(connection, ALL, None, 10)
        (step,) = await list_transitions(connection, incident.incident_id, PUBLIC_URL, 0, 10)
    assert step.why[0].top_bins[0].value == strange  # type: ignore[union-attr]


async def test_single_values_from_strangers_stop_nothing(pool: Pool, life: Life) -> None:
    """A new value is named in each evaluation, whole and thin ones, and in the comparison with the reference."""
    named = MoreFrequent(
        value="\x00", baseline_count=0, current_count=9, baseline_share=0, current_share=0.1, p_value=0
    )
    evaluation = slowly(an_evaluation("ok", at(life.minute), model_id=life.model_id), "ok")
    assert evaluation.slow_drift is not None
    signals = [
        tuple(found.model_copy(update={"more_frequent": (named,)}) for found in compared)
        for compared in (evaluation.signals, evaluation.slow_drift.signals)
    ]
    slow = evaluation.slow_drift.model_copy(update={"signals": signals[1]})
    await life.take(evaluation.model_copy(update={"signals": signals[0], "slow_drift": slow}))
    async with transaction(pool) as connection:
        newest = await find_latest_evaluation(connection, life.model_id)
    assert newest is not None
    assert newest.signals[0].more_frequent == (named,)


async def test_the_schema_refuses_a_second_live_incident(pool: Pool, life: Life) -> None:
    await life.sees("critical")
    with pytest.raises(asyncpg.UniqueViolationError, match="incident_one_live"):
        await pool.execute(
            """
            INSERT INTO incident (incident_id, model_id, state, severity, opened_at, psi, peak_psi, peak_at, sequence,
                                  last_kind, acknowledged_by, reopened)
            SELECT gen_random_uuid(), model_id, state, severity, opened_at, psi, peak_psi, peak_at, sequence,
                   last_kind, acknowledged_by, reopened
              FROM incident
            """
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transition SET note = 'nothing happened'",
        "UPDATE transition SET published_at = now(), alert = false",
        "DELETE FROM transition",
        "TRUNCATE transition CASCADE",
        "UPDATE monitor_version SET settings = '{}'",
        "DELETE FROM monitor_version",
    ],
)
async def test_timeline_and_monitor_versions_are_append_only(pool: Pool, life: Life, statement: str) -> None:
    await life.sees("critical")
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await pool.execute(statement)


async def test_a_row_is_marked_published_once(pool: Pool, life: Life) -> None:
    await life.sees("critical", bins=(a_categorical_bin("\x00", 0.1, 0.5),))
    await pool.execute("UPDATE transition SET published_at = now()")
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await pool.execute("UPDATE transition SET published_at = NULL")


async def test_a_server_that_went_away_is_said_so(pool: Pool, life: Life) -> None:
    consumer = EvaluationConsumer(pool, quick())
    await pool.close()
    with pytest.raises(Unavailable):
        await consumer.take_all([an_evaluation("critical", at(1))])
