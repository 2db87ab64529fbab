"""Evaluations in batches: one transaction for many, and the same rows as one transaction for each."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from tests.integration.incidents.conftest import register
from tests.unit.incidents.builders import an_evaluation, at, quick

# Reopened within the hour, followed by a new incident after it, escalated, eased, blind and seeing again.
HISTORY = [
    ("critical", 1), ("warn", 2), ("ok", 3), ("warn", 10), ("insufficient", 11), ("critical", 12), ("ok", 13),
    ("warn", 100), ("ok", 101), ("critical", 200), ("hold", 201), ("warn", 202),
]  # fmt: skip
MODELS = 3

TABLES = {
    "monitor": """
        SELECT version, last_evaluated_at, last_grade, evaluation_paused_since, count_warn, count_critical,
               count_below_critical, count_ok, ok_seconds
          FROM monitor WHERE model_id = $1
        """,
    "incident": """
        SELECT rank() OVER (ORDER BY incident_number), state, severity, opened_at, psi, peak_psi, peak_at, sequence,
               last_kind, worst_severity, resolved_at, closed_at, reopened, previous_incident_id IS NULL
          FROM incident WHERE model_id = $1
        """,
    "transition": """
        SELECT rank() OVER (ORDER BY position), sequence, kind, at, from_state, to_state, to_severity, cause
          FROM transition WHERE model_id = $1
        """,
    "evidence": """
        SELECT role, evidence.evaluated_at FROM evidence JOIN incident USING (incident_id)
         WHERE model_id = $1 ORDER BY 2, 1
        """,
    "evaluation": "SELECT evaluated_at, level, signals FROM evaluation WHERE model_id = $1 ORDER BY evaluated_at",
    "latest_evaluation": "SELECT evaluated_at, level, psi FROM latest_evaluation WHERE model_id = $1",
}


async def history(pool: Pool, name: str) -> list[Evaluation]:
    """The same history for three new models, minute by minute."""
    for number in range(MODELS):
        await register(pool, f"{name}-{number}", quick())
    return [
        an_evaluation(grade, at(minute), model_id=f"{name}-{number}")
        for grade, minute in HISTORY
        for number in range(MODELS)
    ]


async def rows_of(pool: Pool, name: str) -> list[dict[str, list[Any]]]:
    return [
        {table: [tuple(row) for row in await pool.fetch(query, f"{name}-{number}")] for table, query in TABLES.items()}
        for number in range(MODELS)
    ]


async def test_a_batch_of_any_size_writes_what_its_evaluations_write_one_by_one(pool: Pool) -> None:
    consumer = EvaluationConsumer(pool, quick())
    for evaluation in await history(pool, "alone"):
        await consumer.take_all([evaluation])
    alone = await rows_of(pool, "alone")
    kinds = {row[2] for row in alone[0]["transition"]}
    assert kinds >= {
        "opened",
        "reopened",
        "closed",
        "evaluation_paused",
        "evaluation_resumed",
        "escalated",
        "deescalated",
        "resolved",
    }
    for size in (2, 7, 100):
        evaluations = await history(pool, f"batch-{size}")
        for start in range(0, len(evaluations), size):
            await consumer.take_all(evaluations[start : start + size])
        assert await rows_of(pool, f"batch-{size}") == alone
        await consumer.take_all(evaluations)
        assert await rows_of(pool, f"batch-{size}") == alone, "all of it once more changes nothing"


async def test_batches_that_share_models_take_turns(pool: Pool) -> None:
    """Eight consumers, batches with the same models in different orders, some of them new: no deadlock, one live
    incident each."""
    rng = random.Random(5)
    models = [f"model-{number}" for number in range(40)]

    async def take(minute: int) -> None:
        batch = [an_evaluation("critical", at(minute), model_id=model_id) for model_id in rng.sample(models, 30)]
        await EvaluationConsumer(pool, quick()).take_all(batch)

    await asyncio.gather(*(take(minute) for minute in range(1, 17)))
    live = await pool.fetch("SELECT model_id, count(*) FROM incident GROUP BY model_id")
    assert {row["model_id"]: row["count"] for row in live} == dict.fromkeys(models, 1)
