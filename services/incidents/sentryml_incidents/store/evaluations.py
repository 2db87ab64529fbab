"""Evaluations: thin for some months; of each model the newest whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.levels import psi_of

CLEAN_UP_ROWS = 10_000


async def save_evaluation(connection: Connection, evaluation: Evaluation) -> None:
    """Keep an evaluation; keeping it twice is keeping it once."""
    await connection.execute(
        """
        INSERT INTO evaluation (
               evaluation_id, model_id, monitor_version, evaluated_at, level, reason, baseline, current, signals)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (evaluation_id) DO NOTHING
        """,
        evaluation.evaluation_id,
        evaluation.model_id,
        evaluation.monitor_version,
        evaluation.evaluated_at,
        evaluation.level,
        evaluation.reason,
        evaluation.baseline.model_dump(mode="json"),
        evaluation.current.model_dump(mode="json"),
        [found.model_dump(mode="json", exclude={"bins"}) for found in evaluation.signals],
    )


async def save_latest_evaluation(connection: Connection, evaluation: Evaluation) -> None:
    """Keep a model's newest evaluation whole; an older one changes nothing."""
    await connection.execute(
        """
        INSERT INTO latest_evaluation (model_id, evaluation_id, evaluated_at, level, reason, psi, evaluation)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (model_id) DO UPDATE
           SET evaluation_id = excluded.evaluation_id, evaluated_at = excluded.evaluated_at, level = excluded.level,
               reason = excluded.reason, psi = excluded.psi, evaluation = excluded.evaluation
         WHERE latest_evaluation.evaluated_at < excluded.evaluated_at
        """,
        evaluation.model_id,
        evaluation.evaluation_id,
        evaluation.evaluated_at,
        evaluation.level,
        evaluation.reason,
        psi_of(evaluation),
        evaluation.model_dump(mode="json"),
    )


async def find_latest_evaluation(connection: Connection, model_id: str) -> Evaluation | None:
    """A model's newest evaluation, whole."""
    found = await connection.fetchval("SELECT evaluation FROM latest_evaluation WHERE model_id = $1", model_id)
    return Evaluation.model_validate(found) if found is not None else None


async def list_evaluations(
    connection: Connection, model_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[Evaluation]:
    """A model's evaluations, newest first, from after `before` on. The newest has its bins, others have none."""
    rows = await connection.fetch(
        """
        SELECT evaluation.evaluation_id, evaluation.model_id, evaluation.monitor_version, evaluation.evaluated_at,
               evaluation.level, evaluation.reason, evaluation.baseline, evaluation.current, evaluation.signals,
               latest_evaluation.evaluation AS whole
          FROM evaluation
          JOIN model ON model.model_id = evaluation.model_id
          LEFT JOIN latest_evaluation USING (evaluation_id)
         WHERE evaluation.model_id = $1 AND (model.deleted_at IS NULL OR evaluation.evaluated_at > model.deleted_at)
           AND ($2::timestamptz IS NULL OR (evaluation.evaluated_at, evaluation.evaluation_id) < ($2, $3::uuid))
         ORDER BY evaluation.evaluated_at DESC, evaluation.evaluation_id DESC
         LIMIT $4
        """,
        model_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
    return [_evaluation_of(dict(row.items())) for row in rows]


def _evaluation_of(row: dict[str, Any]) -> Evaluation:
    whole = row.pop("whole")
    if whole is not None:
        return Evaluation.model_validate(whole)
    return Evaluation.model_validate({**row, "signals": [{**found, "bins": ()} for found in row["signals"]]})


async def delete_old_evaluations(connection: Connection, now: datetime, keep_days: int) -> int:
    """Delete some evaluations that are too old; return how many. 0 means that none is left."""
    deleted = await connection.execute(
        """
        DELETE FROM evaluation
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM evaluation WHERE evaluated_at < $1 LIMIT $2))
        """,
        now - timedelta(days=keep_days),
        CLEAN_UP_ROWS,
    )
    return int(deleted.rpartition(" ")[2])
