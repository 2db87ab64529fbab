"""One evaluation out of a model's curve, with the way to those beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.evaluations.evaluations import evaluation_of, find_latest_evaluation


@dataclass(frozen=True, slots=True)
class Found:
    """An evaluation, and the times of its neighbours; None where there is none."""

    evaluation: Evaluation
    earlier: datetime | None
    later: datetime | None


async def find_evaluation_at(connection: Connection, model_id: str, at: datetime | None) -> Found | None:
    """The evaluation of a time, or the last before it, or the first one after; the newest where none is asked for."""
    if at is None:
        evaluation = await find_latest_evaluation(connection, model_id)
    else:
        evaluation = await _find_at(connection, model_id, at)
    if evaluation is None:
        return None
    earlier, later = await _neighbours(connection, model_id, evaluation.evaluated_at)
    return Found(evaluation, earlier, later)


async def _find_at(connection: Connection, model_id: str, at: datetime) -> Evaluation | None:
    row = await connection.fetchrow(
        """
        WITH kept AS MATERIALIZED (SELECT coalesce(deleted_at, '-infinity') AS since FROM model WHERE model_id = $1),
             found AS (
            (SELECT * FROM evaluation
              WHERE model_id = $1 AND evaluated_at <= $2 AND evaluated_at > (SELECT since FROM kept)
              ORDER BY evaluated_at DESC, evaluation_id DESC LIMIT 1)
            UNION ALL
            (SELECT * FROM evaluation
              WHERE model_id = $1 AND evaluated_at > $2 AND evaluated_at > (SELECT since FROM kept)
              ORDER BY evaluated_at, evaluation_id LIMIT 1)
            ORDER BY evaluated_at LIMIT 1)
        SELECT evaluation_id, model_id, monitor_version, normal_time_revision, evaluated_at, level, reason, baseline,
               current, signals, bins, slow_drift, activity, slices, segments,
               CASE WHEN bins IS NULL THEN coalesce(
                   (SELECT evaluation FROM latest_evaluation
                     WHERE latest_evaluation.model_id = $1 AND latest_evaluation.evaluation_id = found.evaluation_id),
                   (SELECT evidence.evaluation FROM incident JOIN evidence USING (incident_id)
                     WHERE incident.model_id = $1 AND evidence.evaluation_id = found.evaluation_id LIMIT 1))
               END AS whole
          FROM found
        """,
        model_id,
        at,
    )
    return evaluation_of(dict(row.items())) if row else None


async def _neighbours(connection: Connection, model_id: str, at: datetime) -> tuple[datetime | None, datetime | None]:
    row = await connection.fetchrow(
        """
        SELECT (SELECT evaluated_at FROM evaluation
                 WHERE model_id = $1 AND evaluated_at < $2 AND evaluated_at > kept.since
                 ORDER BY evaluated_at DESC LIMIT 1) AS earlier,
               (SELECT evaluated_at FROM evaluation
                 WHERE model_id = $1 AND evaluated_at > $2 ORDER BY evaluated_at LIMIT 1) AS later
          FROM (SELECT coalesce(deleted_at, '-infinity') AS since FROM model WHERE model_id = $1) AS kept
        """,
        model_id,
        at,
    )
    return (row["earlier"], row["later"]) if row else (None, None)


async def find_nearest_with_bins(connection: Connection, model_id: str, at: datetime) -> datetime | None:
    """When the evaluation with bins was made that is nearest to a time; None if there is none."""
    found: datetime | None = await connection.fetchval(
        """
        SELECT near.at
          FROM (
               (SELECT evaluated_at AS at FROM evaluation
                 WHERE model_id = $1 AND evaluated_at <= $2 AND bins IS NOT NULL ORDER BY evaluated_at DESC LIMIT 1)
               UNION ALL
               (SELECT evaluated_at FROM evaluation
                 WHERE model_id = $1 AND evaluated_at >= $2 AND bins IS NOT NULL ORDER BY evaluated_at LIMIT 1)
               UNION ALL
               (SELECT evaluated_at FROM latest_evaluation WHERE model_id = $1 AND level <> 'insufficient_data')
               UNION ALL
               (SELECT evidence.evaluated_at
                  FROM incident
                  JOIN evidence USING (incident_id)
                  JOIN evaluation USING (model_id, evaluated_at, evaluation_id)
                 WHERE incident.model_id = $1)
               ) AS near
          JOIN model ON model_id = $1
         WHERE deleted_at IS NULL OR near.at > deleted_at
         ORDER BY abs(extract(epoch FROM near.at - $2))
         LIMIT 1
        """,
        model_id,
        at,
    )
    return found
