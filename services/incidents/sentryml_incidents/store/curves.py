"""PSI over time, thinned out to what a chart can show: of each step the worst look, so that no peak is lost."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from sentryml_common.contracts.evaluation import Level, Signal
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.charts import Look, Span


async def read_curve(connection: Connection, model_id: str, span: Span) -> list[Look]:
    """Looks of one model, oldest first, one per signal and step."""
    return (await read_curves(connection, {model_id: span})).get(model_id, [])


async def read_curves(connection: Connection, spans: Mapping[str, Span]) -> dict[str, list[Look]]:
    """Looks of some models, each over its own time, oldest first, one per signal and step; without looks, none."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (wanted.model_id, at, signal)
               wanted.model_id, date_bin(wanted.step, evaluated_at, wanted.start) AS at, found ->> 'signal' AS signal,
               found ->> 'level' AS level, (found ->> 'psi')::float8 AS psi, (found ->> 'warn_at')::float8 AS warn_at,
               (found ->> 'critical_at')::float8 AS critical_at, (found ->> 'noise_floor')::float8 AS noise_floor
          FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::interval[])
               AS wanted (model_id, start, "end", step)
          JOIN model USING (model_id)
          JOIN evaluation
            ON evaluation.model_id = wanted.model_id AND evaluated_at BETWEEN wanted.start AND wanted.end
         CROSS JOIN LATERAL jsonb_array_elements(signals) AS found
         WHERE model.deleted_at IS NULL OR evaluated_at > model.deleted_at
         ORDER BY wanted.model_id, at, signal, psi DESC NULLS LAST
        """,
        list(spans),
        [span.start for span in spans.values()],
        [span.end for span in spans.values()],
        [span.step for span in spans.values()],
    )
    found: dict[str, list[Look]] = {}
    for row in rows:
        found.setdefault(row["model_id"], []).append(_look(row))
    return found


def _look(row: asyncpg.Record) -> Look:
    return Look(
        at=row["at"],
        signal=Signal(row["signal"]),
        level=Level(row["level"]),
        psi=row["psi"],
        warn_at=row["warn_at"],
        critical_at=row["critical_at"],
        noise_floor=row["noise_floor"],
    )
