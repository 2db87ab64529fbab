"""Incidents as they are read: one, many, and those whose time has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Severity, State
from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.store.incident_rows import INCIDENT_COLUMNS, incident_of
from sentryml_lifecycle.snapshot import Incident


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents a list shows; None means all. `since` is about when they were opened, `patterns` are those of
    the models that the asker may see; none means every model."""

    states: tuple[State, ...] | None = None
    severities: tuple[Severity, ...] | None = None
    model_id: str | None = None
    since: datetime | None = None
    patterns: tuple[str, ...] = ()


async def find_incident(connection: Connection, reference: UUID | int) -> Incident | None:
    """An incident by its id or its number."""
    row = await connection.fetchrow(
        f"SELECT {INCIDENT_COLUMNS} FROM incident WHERE incident_id = $1 OR incident_number = $2",
        reference if isinstance(reference, UUID) else None,
        reference if isinstance(reference, int) else None,
    )
    return incident_of(row) if row else None


async def find_neighbours(connection: Connection, incident: Incident) -> tuple[int | None, int | None]:
    """The numbers of the incidents that the same model had before and after this one."""
    row = await connection.fetchrow(
        """
        SELECT max(incident_number) FILTER (WHERE incident_number < $2) AS before,
               min(incident_number) FILTER (WHERE incident_number > $2) AS after
          FROM incident
         WHERE model_id = $1 AND model_deleted_at IS NOT DISTINCT FROM $3
        """,
        incident.model_id,
        incident.incident_number,
        incident.model_deleted_at,
    )
    assert row is not None
    return row["before"], row["after"]


async def list_incidents(
    connection: Connection, requested: IncidentFilter, before: int | None, limit: int
) -> list[Incident]:
    """Incidents, newest first, from below number `before` on."""
    rows = await connection.fetch(
        f"""
        SELECT {INCIDENT_COLUMNS}
          FROM incident
         WHERE ($1::text[] IS NULL OR state = ANY ($1))
           AND ($2::text[] IS NULL OR severity = ANY ($2))
           AND ($3::text IS NULL OR model_id = $3)
           AND ($4::timestamptz IS NULL OR opened_at >= $4)
           AND ($5::bigint IS NULL OR incident_number < $5)
           AND ($6::text[] IS NULL OR model_id ~ ANY ($6))
         ORDER BY incident_number DESC
         LIMIT $7
        """,
        requested.states,
        requested.severities,
        requested.model_id,
        requested.since,
        before,
        model_regexes(requested.patterns),
        limit,
    )
    return [incident_of(row) for row in rows]


async def models_to_close(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Models whose resolved incident has been so for as long as their monitor asks."""
    rows = await connection.fetch(
        """
        SELECT incident.model_id
          FROM incident
          JOIN monitor USING (model_id)
          JOIN monitor_version USING (model_id, version)
         WHERE incident.state = 'resolved'
           AND incident.resolved_at <= $1::timestamptz
               - make_interval(secs => (monitor_version.settings ->> 'close_after_seconds')::double precision)
         ORDER BY incident.resolved_at
         LIMIT $2
        """,
        now,
        limit,
    )
    return [row["model_id"] for row in rows]


async def count_live(connection: Connection) -> dict[tuple[str, str], int]:
    """Live incidents by (state, severity)."""
    rows = await connection.fetch(
        """
        SELECT state, severity, count(*) AS incidents
          FROM incident
         WHERE state IN ('open', 'acknowledged')
         GROUP BY state, severity
        """
    )
    return {(row["state"], row["severity"]): row["incidents"] for row in rows}


async def count_flapping(connection: Connection, reopened: int) -> int:
    """Live incidents that have opened again at least that number of times."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM incident WHERE state IN ('open', 'acknowledged') AND reopened >= $1", reopened
    )
    return found


async def count_paused(connection: Connection) -> dict[str, int]:
    """Models whose newest evaluation could not be judged, by its reason."""
    rows = await connection.fetch(
        """
        SELECT reason, count(*) AS models
          FROM latest_evaluation JOIN model USING (model_id)
         WHERE level = 'insufficient_data' AND deleted_at IS NULL
         GROUP BY reason
        """
    )
    return {row["reason"]: row["models"] for row in rows}


async def count_silent(connection: Connection) -> int:
    """Models whose predictions have stopped."""
    found: int = await connection.fetchval(
        """
        SELECT count(*)
          FROM monitor
          JOIN monitor_version USING (model_id, version)
         WHERE silence ->> 'since' IS NOT NULL AND (settings ->> 'enabled')::boolean
        """
    )
    return found
