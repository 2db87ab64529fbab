"""The kept evaluations of one model, oldest first, in pages: what a preview goes over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.evaluations.evaluations import evaluation_of

Position = tuple[datetime, UUID]


async def oldest_of_newest(connection: Connection, model_id: str, since: datetime, most: int) -> datetime:
    """From when on a model has at most `most` evaluations, not before `since` nor the model's last deletion."""
    found: datetime = await connection.fetchval(
        """
        SELECT greatest(
               $2::timestamptz,
               (SELECT deleted_at + interval '1 microsecond' FROM model WHERE model_id = $1),
               (SELECT evaluated_at FROM evaluation WHERE model_id = $1 ORDER BY evaluated_at DESC, evaluation_id DESC
                OFFSET $3 - 1 LIMIT 1))
        """,
        model_id,
        since,
        most,
    )
    return found


async def read_history(
    connection: Connection, model_id: str, since: datetime, after: Position | None, limit: int
) -> list[Evaluation]:
    """Thin evaluations of a model, oldest first, from after `after` on."""
    rows = await connection.fetch(
        """
        SELECT evaluation_id, model_id, monitor_version, normal_time_revision, evaluated_at, level, reason, baseline,
               current, signals, slow_drift
          FROM evaluation
         WHERE model_id = $1 AND evaluated_at >= $2
           AND ($3::timestamptz IS NULL OR (evaluated_at, evaluation_id) > ($3, $4::uuid))
         ORDER BY evaluated_at, evaluation_id
         LIMIT $5
        """,
        model_id,
        since,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [evaluation_of({**row, "bins": None, "whole": None}) for row in rows]


async def find_version_settings(connection: Connection, model_id: str) -> dict[int, MonitorSettings]:
    """The settings of every version of a model's monitor."""
    rows = await connection.fetch(
        "SELECT version, settings FROM monitor_version WHERE model_id = $1 AND settings IS NOT NULL", model_id
    )
    return {row["version"]: MonitorSettings.model_validate(row["settings"]) for row in rows}
