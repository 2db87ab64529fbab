"""The state machine's place in the database: locked, read, and written with everything that a decision says.

The monitor's row is the lock: whoever holds it is the only one who decides about this model.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.decision import Decision
from sentryml_incidents.domain.levels import Grade
from sentryml_incidents.domain.snapshot import Counts, Incident, Snapshot, Transition
from sentryml_incidents.store.incident_rows import INCIDENT_COLUMNS, incident_of, insert_incident, update_incident
from sentryml_incidents.store.wake import wake_relay


async def lock_snapshot(connection: Connection, model_id: str, incident_id: UUID | None = None) -> Snapshot | None:
    """Lock a model until the transaction ends; None if it is not registered.

    The snapshot holds the model's newest incident, or the one with `incident_id`. The lock is a statement of its
    own: one that has waited for a lock still sees the other tables as they were before, and would miss the monitor
    version or the incident that the last holder has written.
    """
    locked = await connection.fetchval("SELECT TRUE FROM monitor WHERE model_id = $1 FOR UPDATE", model_id)
    return await read_snapshot(connection, model_id, incident_id) if locked else None


async def read_snapshot(connection: Connection, model_id: str, incident_id: UUID | None = None) -> Snapshot | None:
    """The same without a lock, for the eye."""
    row = await connection.fetchrow(
        """
        SELECT monitor.model_id, monitor.version, monitor_version.settings,
               last_evaluation_id, last_evaluated_at, last_grade, blind_since,
               count_warn, count_critical, count_below_critical, count_ok, ok_seconds, first_version
          FROM monitor
          JOIN monitor_version USING (model_id, version)
         WHERE monitor.model_id = $1
        """,
        model_id,
    )
    return _snapshot_of(row, await _find_incident(connection, model_id, incident_id)) if row else None


async def _find_incident(connection: Connection, model_id: str, incident_id: UUID | None) -> Incident | None:
    row = await connection.fetchrow(
        f"""
        SELECT {INCIDENT_COLUMNS}
          FROM incident
         WHERE model_id = $1 AND CASE WHEN $2::uuid IS NULL THEN model_deleted_at IS NULL ELSE incident_id = $2 END
         ORDER BY incident_number DESC
         LIMIT 1
        """,
        model_id,
        incident_id,
    )
    return incident_of(row) if row else None


def _snapshot_of(row: asyncpg.Record, incident: Incident | None) -> Snapshot:
    return Snapshot(
        model_id=row["model_id"],
        monitor_version=row["version"],
        settings=MonitorSettings.model_validate(row["settings"]),
        incident=incident,
        counts=Counts(
            warn=row["count_warn"],
            critical=row["count_critical"],
            below_critical=row["count_below_critical"],
            ok=row["count_ok"],
            ok_seconds=row["ok_seconds"],
        ),
        last_evaluation_id=row["last_evaluation_id"],
        last_evaluated_at=row["last_evaluated_at"],
        last_grade=Grade(row["last_grade"]) if row["last_grade"] else None,
        blind_since=row["blind_since"],
        first_version=row["first_version"],
    )


async def save_decision(
    connection: Connection, before: Snapshot, decision: Decision, evaluation: Evaluation | None = None
) -> None:
    """Write all that a decision changes; the connection is in the transaction that holds the model's lock."""
    after = decision.snapshot
    if decision.followed is not None:
        await update_incident(connection, decision.followed)
    if after.incident is not None and after.incident != before.incident:
        await _write_incident(connection, after.incident)
    if replace(after, incident=None) != replace(before, incident=None):
        await _update_monitor(connection, after)
    for transition in decision.transitions:
        await _insert_transition(connection, transition)
    if after.incident is not None and evaluation is not None:
        await _keep_evidence(connection, decision, after.incident, evaluation)
    if decision.transitions:
        await wake_relay(connection)


async def _write_incident(connection: Connection, incident: Incident) -> None:
    if incident.incident_number is None:
        await insert_incident(connection, incident)
    else:
        await update_incident(connection, incident)


async def _update_monitor(connection: Connection, snapshot: Snapshot) -> None:
    counts = snapshot.counts
    await connection.execute(
        """
        UPDATE monitor
           SET version = $2, last_evaluation_id = $3, last_evaluated_at = $4, last_grade = $5, blind_since = $6,
               count_warn = $7, count_critical = $8, count_below_critical = $9, count_ok = $10, ok_seconds = $11
         WHERE model_id = $1
        """,
        snapshot.model_id,
        snapshot.monitor_version,
        snapshot.last_evaluation_id,
        snapshot.last_evaluated_at,
        snapshot.last_grade,
        snapshot.blind_since,
        counts.warn,
        counts.critical,
        counts.below_critical,
        counts.ok,
        counts.ok_seconds,
    )


async def _insert_transition(connection: Connection, step: Transition) -> None:
    await connection.execute(
        """
        INSERT INTO transition (
               transition_id, incident_id, model_id, sequence, kind, at, from_state, from_severity, to_state,
               to_severity, actor, cause, alert, note, evaluation_id, why)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        step.transition_id,
        step.incident_id,
        step.model_id,
        step.sequence,
        step.kind,
        step.at,
        step.from_.state if step.from_ else None,
        step.from_.severity if step.from_ else None,
        step.to.state,
        step.to.severity,
        step.actor.model_dump(mode="json"),
        step.cause,
        step.alert,
        step.note,
        step.evaluation_id,
        [part.model_dump(mode="json") for part in step.why],
    )


async def _keep_evidence(
    connection: Connection, decision: Decision, incident: Incident, evaluation: Evaluation
) -> None:
    """The peak moves; every other moment stays."""
    whole = evaluation.model_dump(mode="json")
    for role in decision.evidence:
        await connection.execute(
            """
            INSERT INTO evidence (incident_id, role, evaluation_id, evaluated_at, evaluation)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (incident_id) WHERE role = 'peak'
            DO UPDATE SET evaluation_id = excluded.evaluation_id, evaluated_at = excluded.evaluated_at,
                          evaluation = excluded.evaluation
            """,
            incident.incident_id,
            role,
            evaluation.evaluation_id,
            evaluation.evaluated_at,
            whole,
        )
