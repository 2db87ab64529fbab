"""PSI over time, thinned out to what a chart can show: of each step the worst evaluation, so that no peak is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.evaluation import Level
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import reader_of
from sentryml_incidents.domain.psi_series import EvaluationPoint, Span
from sentryml_lifecycle.grades import DRIFTING

_point = reader_of(EvaluationPoint)


async def read_curve(connection: Connection, model_id: str, span: Span) -> list[EvaluationPoint]:
    """Evaluations of one model, oldest first, one per signal and step; and of each the segment that drifted most by
    itself, if one did."""
    rows = await connection.fetch(
        """
        WITH worst AS (
            SELECT DISTINCT ON (at) date_bin($4, evaluated_at, $2) AS at, evaluated_at, evaluation_id
              FROM evaluation
              JOIN model USING (model_id)
             WHERE model_id = $1 AND evaluated_at BETWEEN $2 AND $3
               AND (model.deleted_at IS NULL OR evaluated_at > model.deleted_at)
             ORDER BY at, psi DESC NULLS LAST
        )
        SELECT worst.evaluated_at AS at, found ->> 'signal' AS signal, found ->> 'level' AS level,
               (found ->> 'psi')::float8 AS psi,
               (found ->> 'warn_at')::float8 AS warn_at, (found ->> 'critical_at')::float8 AS critical_at,
               (found ->> 'noise_floor')::float8 AS noise_floor, (found ->> 'current_count')::bigint AS current_count,
               evaluation.segments
          FROM worst
          JOIN evaluation
            ON evaluation.model_id = $1 AND evaluation.evaluated_at = worst.evaluated_at
           AND evaluation.evaluation_id = worst.evaluation_id
         CROSS JOIN LATERAL jsonb_array_elements(signals) AS found
         ORDER BY worst.evaluated_at, signal
        """,
        model_id,
        span.start,
        span.end,
        span.step,
    )
    segments = {row["at"]: row["segments"] for row in rows if row["segments"]}
    worst = (max(found, key=lambda each: each["psi"] or 0.0) | {"at": at} for at, found in segments.items())
    drifting = (each for each in worst if Level(each["level"]) in DRIFTING)
    return [*map(_point, rows), *map(_point, drifting)]


@dataclass(frozen=True, slots=True)
class Recent:
    """How a model has been doing: the highest PSI of each step, None where nothing could be judged, and the warning
    threshold that is in force."""

    psi: list[tuple[datetime, float | None]]
    warn_at: float | None


async def read_recent(connection: Connection, spans: Mapping[str, Span]) -> dict[str, Recent]:
    """How each of some models has been doing over its own time."""
    rows = await connection.fetch(
        """
        SELECT requested.model_id, points.at, points.psi
          FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::interval[])
               AS requested (model_id, start, "end", step)
          JOIN model USING (model_id)
         CROSS JOIN LATERAL (
               SELECT date_bin(requested.step, evaluated_at, requested.start) AS at, max(psi) AS psi
                 FROM evaluation
                WHERE evaluation.model_id = requested.model_id
                  AND evaluated_at BETWEEN requested.start AND requested."end"
                  AND (model.deleted_at IS NULL OR evaluated_at > model.deleted_at)
                GROUP BY 1
               ) AS points
         ORDER BY requested.model_id, points.at
        """,
        list(spans),
        [span.start for span in spans.values()],
        [span.end for span in spans.values()],
        [span.step for span in spans.values()],
    )
    thresholds = await connection.fetch(
        """
        SELECT model_id, (SELECT min((found ->> 'warn_at')::float8)
                            FROM json_array_elements((evaluation -> 'signals')::json) AS found) AS warn_at
          FROM latest_evaluation
         WHERE model_id = ANY ($1)
        """,
        list(spans),
    )
    found = {row["model_id"]: Recent([], row["warn_at"]) for row in thresholds}
    for row in rows:
        found.setdefault(row["model_id"], Recent([], None)).psi.append((row["at"], row["psi"]))
    return found
