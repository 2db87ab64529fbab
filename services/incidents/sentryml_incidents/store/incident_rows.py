"""Rows of `incident` as domain values, and back. One place knows the columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import asyncpg

from sentryml_common.contracts.transition import Actor, Cause, Severity, State, TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_lifecycle.snapshot import Incident

INCIDENT_COLUMNS: Final = """
    incident.incident_id, incident.incident_number, incident.model_id, incident.state, incident.severity,
    incident.opened_at, incident.psi, incident.peak_psi, incident.peak_at, incident.sequence, incident.last_kind,
    incident.acknowledged_by, incident.resolved_at, incident.closed_at, incident.reopened,
    incident.previous_incident_id, incident.monitor_change, incident.latched_until, incident.worst_severity,
    incident.model_deleted_at, incident.undo_until, incident.no_predictions
"""


def incident_of(row: asyncpg.Record) -> Incident:
    """A row with INCIDENT_COLUMNS as an incident."""
    return Incident(
        incident_id=row["incident_id"],
        incident_number=row["incident_number"],
        model_id=row["model_id"],
        state=State(row["state"]),
        severity=Severity(row["severity"]),
        opened_at=row["opened_at"],
        psi=row["psi"],
        peak_psi=row["peak_psi"],
        peak_at=row["peak_at"],
        sequence=row["sequence"],
        last_kind=TransitionKind(row["last_kind"]),
        acknowledged_by=tuple(Actor.model_validate(actor) for actor in row["acknowledged_by"]),
        resolved_at=row["resolved_at"],
        closed_at=row["closed_at"],
        reopened=row["reopened"],
        previous_incident_id=row["previous_incident_id"],
        monitor_change=Cause(row["monitor_change"]) if row["monitor_change"] else None,
        latched_until=row["latched_until"],
        # The last release, while it still runs beside this one, writes the severity alone.
        worst_severity=Severity.CRITICAL if row["severity"] == "critical" else Severity(row["worst_severity"]),
        model_deleted_at=row["model_deleted_at"],
        undo_until=row["undo_until"],
        no_predictions=row["no_predictions"],
    )


def _values(incident: Incident) -> tuple[Any, ...]:
    """The values of all columns that an incident's steps set, in the order of INCIDENT_COLUMNS."""
    return (
        incident.incident_id,
        incident.model_id,
        incident.state,
        incident.severity,
        incident.opened_at,
        incident.psi,
        incident.peak_psi,
        incident.peak_at,
        incident.sequence,
        incident.last_kind,
        [actor.model_dump(mode="json") for actor in incident.acknowledged_by],
        incident.resolved_at,
        incident.closed_at,
        incident.reopened,
        incident.previous_incident_id,
        incident.monitor_change,
        incident.latched_until,
        incident.worst_severity,
        incident.undo_until,
        incident.no_predictions,
    )


async def insert_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write new incidents, in their order; the database gives them their numbers."""
    await connection.executemany(
        """
        INSERT INTO incident (
               incident_id, model_id, state, severity, opened_at, psi, peak_psi, peak_at, sequence, last_kind,
               acknowledged_by, resolved_at, closed_at, reopened, previous_incident_id, monitor_change, latched_until,
               worst_severity, undo_until, no_predictions)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        """,
        map(_values, incidents),
    )


async def update_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write incidents as they stand now; what they are about never changes."""
    await connection.executemany(
        """
        UPDATE incident
           SET state = $3, severity = $4, psi = $6, peak_psi = $7, peak_at = $8, sequence = $9, last_kind = $10,
               acknowledged_by = $11, resolved_at = $12, closed_at = $13, reopened = $14, monitor_change = $16,
               latched_until = $17, worst_severity = $18, undo_until = $19, no_predictions = $20
         WHERE incident_id = $1 AND model_id = $2 AND opened_at = $5 AND previous_incident_id IS NOT DISTINCT FROM $15
        """,
        map(_values, incidents),
    )
