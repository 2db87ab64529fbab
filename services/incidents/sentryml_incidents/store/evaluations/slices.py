"""Versions and segments over time: of each step of a chart the newest evaluation that has any."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter

from sentryml_common.contracts.evaluation import SliceEvaluation
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.psi_series import Span

Slices = tuple[SliceEvaluation, ...]
_SLICES = TypeAdapter(Slices)


async def read_slices(connection: Connection, model_id: str, span: Span) -> list[tuple[datetime, Slices]]:
    """The versions and segments of a model's evaluations, oldest first."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (date_bin($4, evaluated_at, $2)) evaluated_at, slices
          FROM evaluation
          JOIN model USING (model_id)
         WHERE model_id = $1 AND evaluated_at BETWEEN $2 AND $3 AND slices IS NOT NULL
           AND (model.deleted_at IS NULL OR evaluated_at > model.deleted_at)
         ORDER BY date_bin($4, evaluated_at, $2), evaluated_at DESC
        """,
        model_id,
        span.start,
        span.end,
        span.step,
    )
    return [(row["evaluated_at"], _SLICES.validate_python(row["slices"])) for row in rows]
