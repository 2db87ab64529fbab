"""Models as they are listed: what was last found, whether they are watched, what is live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import InsufficientReason, Level
from sentryml_common.contracts.transition import Severity, State
from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import reader_of
from sentryml_incidents.domain.first_steps.checklist import Baseline
from sentryml_incidents.domain.first_steps.model_names import TEST_MODEL
from sentryml_incidents.domain.overview import Overview, Section
from sentryml_incidents.domain.status import Status, status_of
from sentryml_incidents.domain.system.faults import Progress
from sentryml_incidents.domain.system.missed_evaluations import (
    GRACE,
    LONGEST_DELAY,
    MISSED,
    Schedule,
    Unevaluated,
    not_evaluated_since,
)


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

    def status(self, now: datetime) -> Status:
        """How it is doing."""
        silent, missed = self.silent_since is not None, self.not_evaluated_since(now) is not None
        return status_of(self.enabled, self.level, self.reason, silent, missed=missed)


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
_read_summary = reader_of(ModelSummary)


async def list_models(
    connection: Connection, after: str | None, limit: int, requested: ModelFilter = EVERY_MODEL
) -> list[ModelSummary]:
    """Models in the order of their ids, from after `after` on."""
    rows = await connection.fetch(
        """
        SELECT model.model_id, model.first_seen, model.last_seen, monitor.version AS monitor_version,
               monitor.evaluation_paused_since,
               (monitor.silence ->> 'since')::timestamptz AS silent_since,
               (monitor_version.settings ->> 'enabled')::boolean AS enabled,
               make_interval(secs => (monitor_version.settings ->> 'every_seconds')::float8) AS every,
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
    columns = dict(row.items())
    live = columns if row["incident_id"] else None
    return _read_summary({**columns, "schedule": columns, "incident": live})


# Each model as far as the overview goes by it; $1 is now. `missed_since` is the rule of `not_evaluated_since`.
STANDING: Final = f"""
    SELECT model.model_id, (monitor.silence ->> 'since') IS NOT NULL AS silent, version.enabled,
           latest_evaluation.level, latest_evaluation.psi, latest_evaluation.evaluated_at,
           incident.severity, incident.state,
           CASE WHEN version.enabled
                 AND $1 > greatest(latest_evaluation.evaluated_at, version.at) + {MISSED} * version.every
                          + least(version.every, interval '{LONGEST_DELAY.total_seconds()} s')
                          + interval '{GRACE.total_seconds()} s'
                THEN latest_evaluation.evaluated_at END AS missed_since
      FROM model
      JOIN monitor USING (model_id)
      JOIN (SELECT model_id, version, at, (settings ->> 'enabled')::boolean AS enabled,
                   make_interval(secs => (settings ->> 'every_seconds')::float8) AS every
              FROM monitor_version
            OFFSET 0) AS version USING (model_id, version)
      LEFT JOIN latest_evaluation USING (model_id)
      LEFT JOIN incident
             ON incident.model_id = model.model_id AND incident.state IN ('open', 'acknowledged')
"""

# The worst first: among those that drift what is critical, then what nobody has acknowledged, then the highest PSI; all
# others by their id.
WORST_FIRST: Final = """
    array_position($2::text[], section), section = 'drifting' AND NOT critical,
    section = 'drifting' AND state IS DISTINCT FROM 'open', CASE section WHEN 'drifting' THEN -coalesce(psi, 0) END,
    model_id COLLATE "C"
"""


async def read_overview(
    connection: Connection, now: datetime, part: str, only: Section | None, start: int, limit: int
) -> Overview:
    """The models with `part` in their id, of one section or of all: `limit` of them after the first `start`.

    What drifted when it was evaluated last drifts until its incident is over.
    """
    row = await connection.fetchrow(
        f"""
        WITH standing AS ({STANDING}),
        sorted AS MATERIALIZED (
            SELECT *, (severity = 'critical') IS TRUE OR (level = 'critical') IS TRUE AS critical,
                   CASE WHEN NOT enabled THEN 'off'
                        WHEN silent AND level IS DISTINCT FROM 'critical' THEN 'silent'
                        WHEN severity IS NOT NULL THEN 'drifting'
                        WHEN missed_since IS NULL AND level IN ('warn', 'critical') THEN 'drifting'
                        WHEN missed_since IS NOT NULL THEN 'not-evaluated'
                        WHEN level = 'ok' THEN 'ok'
                        ELSE 'not-compared' END AS section
              FROM standing),
        matching AS (SELECT * FROM sorted WHERE position(lower($3) IN lower(model_id)) > 0),
        counted AS (SELECT section, count(*) AS models FROM matching GROUP BY section),
        listed AS (
            SELECT model_id, section, row_number() OVER (ORDER BY {WORST_FIRST}) AS place
              FROM matching
             WHERE $4::text IS NULL OR section = $4
             ORDER BY place OFFSET $5 LIMIT $6)
        SELECT count(*) AS models, count(*) FILTER (WHERE enabled AND evaluated_at IS NOT NULL) AS expected,
               coalesce(array_agg(model_id) FILTER (WHERE missed_since IS NOT NULL), '{{}}') AS missed,
               coalesce(array_agg(missed_since) FILTER (WHERE missed_since IS NOT NULL), '{{}}') AS missed_since,
               (SELECT json_object_agg(section, models) FROM counted) AS counts,
               ARRAY(SELECT model_id FROM listed ORDER BY place) AS listed,
               ARRAY(SELECT section FROM listed ORDER BY place) AS sections
          FROM sorted
        """,
        now, list(Section), part, only, start, limit,
    )  # fmt: skip
    assert row is not None
    counts = row["counts"] or {}
    return Overview(
        listed=dict(zip(row["listed"], map(Section, row["sections"]), strict=True)),
        counts={section: counts.get(section, 0) for section in Section},
        models=row["models"],
        unevaluated=_unevaluated_of(row),
    )


async def count_test_models(connection: Connection) -> int:
    """How many models there are of test events."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM model JOIN monitor USING (model_id) WHERE position($1 IN model_id) > 0", TEST_MODEL
    )
    return found


async def read_baselines(connection: Connection, limit: int) -> list[Baseline]:
    """The baselines of the models that have been watched for the longest time."""
    rows = await connection.fetch(
        """
        WITH oldest AS (
            SELECT model.model_id, greatest(model.first_seen, monitor_version.kept_since) AS since,
                   make_interval(secs => (monitor_version.settings ->> 'baseline_seconds')::float8) AS baseline,
                   make_interval(secs => (monitor_version.settings ->> 'current_seconds')::float8) AS current
              FROM model
              JOIN monitor USING (model_id)
              JOIN monitor_version USING (model_id, version)
             WHERE (monitor_version.settings ->> 'enabled')::boolean
               AND model.model_id NOT LIKE '%' || $1 || '%'  -- most are none, as the planner takes it
             ORDER BY since, model.model_id
             LIMIT $2)
        SELECT oldest.*, (latest_evaluation.evaluation -> 'baseline' ->> 'coverage')::float8 AS coverage
          FROM oldest
          LEFT JOIN latest_evaluation USING (model_id)
         ORDER BY since, model_id
        """,
        TEST_MODEL,
        limit,
    )
    return [Baseline(**row) for row in rows]


async def read_unevaluated(connection: Connection, now: datetime) -> Unevaluated:
    """The models whose evaluations are missing, among all that should be evaluated."""
    row = await connection.fetchrow(
        f"""
        WITH standing AS ({STANDING})
        SELECT count(*) AS expected,
               coalesce(array_agg(model_id) FILTER (WHERE missed_since IS NOT NULL), '{{}}') AS missed,
               coalesce(array_agg(missed_since) FILTER (WHERE missed_since IS NOT NULL), '{{}}') AS missed_since
          FROM standing
         WHERE enabled AND evaluated_at IS NOT NULL
        """,
        now,
    )
    assert row is not None
    return _unevaluated_of(row)


def _unevaluated_of(row: asyncpg.Record) -> Unevaluated:
    return Unevaluated(row["expected"], dict(zip(row["missed"], row["missed_since"], strict=True)))


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
    return Progress(**row)


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
