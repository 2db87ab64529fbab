"""The state machine's place in the database: locked, read, and written with everything that a decision says.

The monitor's row is the lock: its holder is the only one who decides about this model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import reader_of, values_of
from sentryml_incidents.store.incident_rows import INCIDENT_COLUMNS, incident_of, insert_incidents, update_incidents
from sentryml_incidents.store.monitors import queue_monitors
from sentryml_incidents.store.references import queue_references
from sentryml_incidents.store.timeline import insert_transitions, keep_evidence
from sentryml_incidents.store.wake import wake_relay
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.snapshot import EvidenceRole, Incident, Snapshot

SAME: Final = (
    "last_evaluation_id",
    "last_evaluated_at",
    "last_grade",
    "evaluation_paused_since",
    "normal_time",
    "slow",
    "notified",
    "silence",
)
"""Columns of `monitor` that are fields of a snapshot."""
COUNTS: Final = {
    "count_warn": "warn",
    "count_critical": "critical",
    "count_below_critical": "below_critical",
    "count_ok": "ok",
    "ok_seconds": "ok_seconds",
    "drift_from": "drift_from",
}
"""Columns of `monitor`, and what they are called among the counts of a snapshot."""
_WRITTEN: Final = ("version", *SAME, *COUNTS)
_read = reader_of(Snapshot)


async def lock_snapshot(connection: Connection, model_id: str, incident_id: UUID | None = None) -> Snapshot | None:
    """Lock a model until the transaction ends; None if it is not registered.

    The snapshot holds the model's newest incident, or the one with `incident_id`.
    """
    await _lock(connection, [model_id])
    return await read_snapshot(connection, model_id, incident_id)


async def lock_snapshots(connection: Connection, model_ids: Iterable[str]) -> dict[str, Snapshot]:
    """The same for many models, each with its newest incident; those that are not registered are left out."""
    models = sorted(set(model_ids))
    await _lock(connection, models)
    return await _read_snapshots(connection, models, None)


async def read_snapshot(connection: Connection, model_id: str, incident_id: UUID | None = None) -> Snapshot | None:
    """The same without a lock, for the eye."""
    return (await _read_snapshots(connection, [model_id], incident_id)).get(model_id)


async def _lock(connection: Connection, models: list[str]) -> None:
    """Lock in the order of ids, so that two who lock many never wait for each other.

    A statement of its own: one that has waited for a lock still sees the other tables as they were before, and would
    miss the monitor version or the incident that the last holder has written.
    """
    await connection.execute("SELECT FROM monitor WHERE model_id = ANY ($1) ORDER BY model_id FOR UPDATE", models)


async def _read_snapshots(connection: Connection, models: list[str], incident_id: UUID | None) -> dict[str, Snapshot]:
    rows = await connection.fetch(
        f"""
        SELECT monitor.model_id AS watched, monitor.version AS monitor_version, monitor_version.settings,
               first_version, {", ".join((*SAME, *COUNTS))}, {INCIDENT_COLUMNS}
          FROM monitor
          JOIN monitor_version USING (model_id, version)
          LEFT JOIN LATERAL (
               SELECT *
                 FROM incident
                WHERE incident.model_id = monitor.model_id
                  AND CASE WHEN $2::uuid IS NULL THEN model_deleted_at IS NULL ELSE incident_id = $2 END
                ORDER BY incident_number DESC
                LIMIT 1
               ) AS incident ON TRUE
         WHERE monitor.model_id = ANY ($1)
        """,
        models,
        incident_id,
    )
    return {row["watched"]: _snapshot_of(row) for row in rows}


def _snapshot_of(row: asyncpg.Record) -> Snapshot:
    counts = {name: row[column] for column, name in COUNTS.items()}
    incident = incident_of(row) if row["incident_id"] else None
    return _read({**row, "model_id": row["watched"], "incident": incident, "counts": counts})


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that was applied, and what it started from; `evaluation` if one has caused it."""

    before: Snapshot
    decision: Decision
    evaluation: Evaluation | None = None


async def save_decision(connection: Connection, before: Snapshot, decision: Decision) -> None:
    """Write all that a decision changes; the connection is in the transaction that holds the model's lock."""
    await save_changes(connection, [Change(before, decision)])


async def save_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """The same for many decisions, of a model the older before the newer. What is overwritten within them is not
    written at all: of monitor and incident counts how they stand in the end."""
    incidents = _incidents_of(changes)
    await update_incidents(connection, [each for each in incidents if each.incident_number is not None])
    await insert_incidents(connection, [each for each in incidents if each.incident_number is None])
    await _update_monitors(connection, _monitors_of(changes))
    if published := _to_publish(changes):
        await queue_monitors(connection, published)
    if references := _references_in_force(changes):
        await queue_references(connection, references)
    transitions = [step for change in changes for step in change.decision.transitions]
    await insert_transitions(connection, transitions)
    await keep_evidence(connection, [kept for change in changes for kept in _evidence_of(change)])
    if transitions:
        await wake_relay(connection)


def _incidents_of(changes: Sequence[Change]) -> list[Incident]:
    """The incidents that have changed, as they stand in the end, in the order in which they began to."""
    found: dict[UUID, Incident] = {}
    for change in changes:
        after = change.decision.snapshot.incident
        if change.decision.followed is not None:
            found[change.decision.followed.incident_id] = change.decision.followed
        if after is not None and after != change.before.incident:
            found[after.incident_id] = after
    return list(found.values())


def _monitors_of(changes: Sequence[Change]) -> list[Snapshot]:
    """The monitors that have changed, in the end."""
    found = {
        change.before.model_id: change.decision.snapshot
        for change in changes
        if replace(change.decision.snapshot, incident=None) != replace(change.before, incident=None)
    }
    return list(found.values())


def _to_publish(changes: Sequence[Change]) -> set[str]:
    """The models whose monitor or normal time has changed."""
    return {
        change.before.model_id
        for change in changes
        if (change.before.monitor_version, change.before.normal_time)
        != (change.decision.snapshot.monitor_version, change.decision.snapshot.normal_time)
    }


def _references_in_force(changes: Sequence[Change]) -> set[UUID]:
    """The references that have come into force."""
    return {
        after
        for change in changes
        if (after := change.decision.snapshot.normal_time.reference_id) is not None
        and after != change.before.normal_time.reference_id
    }


def _evidence_of(change: Change) -> list[tuple[UUID, EvidenceRole, Evaluation]]:
    incident, evaluation = change.decision.snapshot.incident, change.evaluation
    if incident is None or evaluation is None:
        return []
    return [(incident.incident_id, role, evaluation) for role in change.decision.evidence]


async def _update_monitors(connection: Connection, snapshots: Sequence[Snapshot]) -> None:
    changes = ", ".join(f"{column} = ${number}" for number, column in enumerate(_WRITTEN, start=2))
    await connection.executemany(
        f"UPDATE monitor SET {changes} WHERE model_id = $1",
        [
            [each.model_id, each.monitor_version, *values_of(each, SAME), *values_of(each.counts, COUNTS.values())]
            for each in snapshots
        ],
    )
