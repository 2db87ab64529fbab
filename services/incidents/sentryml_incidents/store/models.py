"""Models as they are listed: what was last found, whether they are watched, what is live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import InsufficientReason, Level
from sentryml_common.contracts.transition import Severity, State
from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.first_steps.checklist import Baseline
from sentryml_incidents.domain.first_steps.model_names import TEST_MODEL
from sentryml_incidents.domain.overview import ModelStanding
from sentryml_incidents.domain.system.faults import Progress
from sentryml_incidents.domain.system.missed_evaluations import Schedule, Unevaluated, not_evaluated_since


@dataclass(frozen=True, slots=True)
class LiveIncident:
    """A model's live incident, as far as a list shows it."""

    incident_id: UUID
    incident_number: int
    state: State
    severity: Severity


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model in a list. Level, reason and PSI are of the newest evaluation, None before the first."""

    model_id: str
    first_seen: datetime
    last_seen: datetime
    enabled: bool
    monitor_version: int
    level: Level | None
    reason: InsufficientReason | None
    psi: float | None
    evaluated_at: datetime | None
    schedule: Schedule
    evaluation_paused_since: datetime | None
    silent_since: datetime | None
    incident: LiveIncident | None

    def not_evaluated_since(self, now: datetime) -> datetime | None:
        """When it was evaluated last, where evaluations are missing."""
        return not_evaluated_since(self.schedule, now)


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """Which models a list shows; None means all. `live` is about incidents; `part`, `model_ids` and `patterns`, of
    which none means all, are about the id."""

    levels: tuple[Level, ...] | None = None
    enabled: bool | None = None
    live: bool | None = None
    part: str | None = None
    model_ids: tuple[str, ...] | None = None
    patterns: tuple[str, ...] = ()


EVERY_MODEL = ModelFilter()


async def list_models(
    connection: Connection, after: str | None, limit: int, requested: ModelFilter = EVERY_MODEL
) -> list[ModelSummary]:
    """Models in the order of their ids, from after `after` on."""
    rows = await connection.fetch(
        """
        SELECT model.model_id, model.first_seen, model.last_seen, monitor.version, monitor.evaluation_paused_since,
               (monitor.silence ->> 'since')::timestamptz AS silent_since,
               (monitor_version.settings ->> 'enabled')::boolean AS enabled,
               (monitor_version.settings ->> 'every_seconds')::double precision AS every_seconds,
               monitor_version.at AS in_force_since,
               latest_evaluation.level, latest_evaluation.reason, latest_evaluation.psi, latest_evaluation.evaluated_at,
               incident.incident_id, incident.incident_number, incident.state, incident.severity
          FROM model
          JOIN monitor USING (model_id)
          JOIN monitor_version USING (model_id, version)
          LEFT JOIN latest_evaluation USING (model_id)
          LEFT JOIN incident
                 ON incident.model_id = model.model_id AND incident.state IN ('open', 'acknowledged')
         WHERE ($1::text IS NULL OR model.model_id > $1)
           AND ($2::text[] IS NULL OR model.model_id = ANY ($2))
           AND ($3::text IS NULL OR position(lower($3) IN lower(model.model_id)) > 0)
           AND ($4::text[] IS NULL OR latest_evaluation.level = ANY ($4))
           AND ($5::boolean IS NULL OR (monitor_version.settings ->> 'enabled')::boolean = $5)
           AND ($6::boolean IS NULL OR (incident.incident_id IS NOT NULL) = $6)
           AND ($7::text[] IS NULL OR model.model_id ~ ANY ($7))
         ORDER BY model.model_id
         LIMIT $8
        """,
        after,
        requested.model_ids,
        requested.part,
        requested.levels,
        requested.enabled,
        requested.live,
        model_regexes(requested.patterns),
        limit,
    )
    return [_summary_of(row) for row in rows]


async def find_model(connection: Connection, model_id: str) -> ModelSummary | None:
    """One model."""
    found = await list_models(connection, None, 1, ModelFilter(model_ids=(model_id,)))
    return found[0] if found else None


def _summary_of(row: asyncpg.Record) -> ModelSummary:
    live = None
    if row["incident_id"] is not None:
        state, severity = State(row["state"]), Severity(row["severity"])
        live = LiveIncident(row["incident_id"], row["incident_number"], state, severity)
    return ModelSummary(
        model_id=row["model_id"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        enabled=row["enabled"],
        monitor_version=row["version"],
        level=Level(row["level"]) if row["level"] else None,
        reason=InsufficientReason(row["reason"]) if row["reason"] else None,
        psi=row["psi"],
        evaluated_at=row["evaluated_at"],
        schedule=_schedule_of(row),
        evaluation_paused_since=row["evaluation_paused_since"],
        silent_since=row["silent_since"],
        incident=live,
    )


def _schedule_of(row: asyncpg.Record) -> Schedule:
    every = timedelta(seconds=row["every_seconds"])
    return Schedule(row["evaluated_at"], every, row["in_force_since"], row["enabled"])


async def read_standings(connection: Connection, now: datetime) -> list[ModelStanding]:
    """All models, as far as the overview sorts and counts them."""
    rows = await connection.fetch(
        """
        SELECT model.model_id, (monitor.silence ->> 'since') IS NOT NULL AS silent,
               (monitor_version.settings ->> 'enabled')::boolean AS enabled,
               (monitor_version.settings ->> 'every_seconds')::double precision AS every_seconds,
               monitor_version.at AS in_force_since,
               latest_evaluation.level, latest_evaluation.psi, latest_evaluation.evaluated_at,
               incident.severity, incident.state
          FROM model
          JOIN monitor USING (model_id)
          JOIN monitor_version USING (model_id, version)
          LEFT JOIN latest_evaluation USING (model_id)
          LEFT JOIN incident
                 ON incident.model_id = model.model_id AND incident.state IN ('open', 'acknowledged')
        """
    )
    return [
        ModelStanding(
            model_id=row["model_id"],
            enabled=row["enabled"],
            level=Level(row["level"]) if row["level"] else None,
            psi=row["psi"],
            silent=row["silent"],
            evaluated=row["evaluated_at"] is not None,
            missed_since=not_evaluated_since(_schedule_of(row), now),
            severity=Severity(row["severity"]) if row["severity"] else None,
            state=State(row["state"]) if row["state"] else None,
        )
        for row in rows
    ]


async def read_baselines(connection: Connection, limit: int) -> list[Baseline]:
    """The baselines of the models that have been watched for the longest time."""
    rows = await connection.fetch(
        """
        SELECT model.model_id, greatest(model.first_seen, monitor_version.kept_since) AS since,
               make_interval(secs => (monitor_version.settings ->> 'baseline_seconds')::float8) AS baseline,
               make_interval(secs => (monitor_version.settings ->> 'current_seconds')::float8) AS current,
               (latest_evaluation.evaluation -> 'baseline' ->> 'coverage')::float8 AS coverage
          FROM model
          JOIN monitor USING (model_id)
          JOIN monitor_version USING (model_id, version)
          LEFT JOIN latest_evaluation USING (model_id)
         WHERE (monitor_version.settings ->> 'enabled')::boolean AND position($1 IN model.model_id) = 0
         ORDER BY since, model.model_id
         LIMIT $2
        """,
        TEST_MODEL,
        limit,
    )
    return [Baseline(**row) for row in rows]


async def read_unevaluated(connection: Connection, now: datetime) -> Unevaluated:
    """The models whose evaluations are missing, among all that should be evaluated."""
    rows = await connection.fetch(
        """
        SELECT model_id, evaluated_at, true AS enabled, monitor_version.at AS in_force_since,
               (monitor_version.settings ->> 'every_seconds')::double precision AS every_seconds
          FROM latest_evaluation
          JOIN monitor USING (model_id)
          JOIN monitor_version USING (model_id, version)
         WHERE (monitor_version.settings ->> 'enabled')::boolean
        """
    )
    found = {row["model_id"]: not_evaluated_since(_schedule_of(row), now) for row in rows}
    return Unevaluated(len(rows), {model_id: since for model_id, since in found.items() if since is not None})


async def read_progress(connection: Connection) -> Progress:
    """Until when predictions have been read, by the newest evaluations that say so."""
    row = await connection.fetchrow(
        """
        SELECT max(evaluated_at) AS evaluated_at, max(read_until) AS read_until
          FROM latest_evaluation
         WHERE read_until IS NOT NULL
        """
    )
    assert row is not None
    return Progress(row["evaluated_at"], row["read_until"])


async def read_activity_times(connection: Connection, model_ids: Collection[str]) -> dict[str, datetime]:
    """When each model reported last."""
    rows = await connection.fetch(
        "SELECT model_id, at FROM activity WHERE model_id = ANY ($1::text[])", list(model_ids)
    )
    return {row["model_id"]: row["at"] for row in rows}


async def newest_activity(connection: Connection) -> datetime | None:
    """When any model reported last."""
    newest: datetime | None = await connection.fetchval("SELECT max(at) FROM activity")
    return newest
