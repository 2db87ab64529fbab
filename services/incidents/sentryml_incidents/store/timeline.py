"""Timeline and evidence of incidents. Steps are only ever added."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.transition import Actor, Cause, Transition, TransitionKind
from sentryml_common.group_text import GroupedAlert
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of
from sentryml_incidents.domain.evidence_choices import Moment
from sentryml_incidents.store.evaluations.evaluations import stored_whole
from sentryml_lifecycle.snapshot import ALARMING, EvidenceRole
from sentryml_lifecycle.snapshot import Transition as Step

TRANSITION_COLUMNS: Final = """
    transition.transition_id, transition.incident_id, incident.incident_number, transition.model_id,
    transition.sequence, transition.kind, transition.at, transition.from_state, transition.from_severity,
    transition.to_state, transition.to_severity, transition.actor, transition.cause, transition.alert,
    transition.note, transition.evaluation_id, transition.why, transition.markers, transition.text
"""
_SAME: Final = names_of(Step, but=frozenset({"from_", "to", "markers"}))
_alert = reader_of(GroupedAlert)


def transition_of(row: asyncpg.Record, public_url: str) -> Transition:
    """A row with TRANSITION_COLUMNS as it is published; `public_url` is where people reach this service."""
    before = {"state": row["from_state"], "severity": row["from_severity"]} if row["from_state"] else None
    changed = {
        "from": before,
        "to": {"state": row["to_state"], "severity": row["to_severity"]},
        "markers": row["markers"] or (),
        "incident_url": incident_url(public_url, row["incident_number"]),
    }
    return Transition.model_validate({**row, **changed})


def incident_url(public_url: str, number: int) -> str:
    """The address of an incident's page."""
    return f"{public_url}/incidents/{number}"


async def insert_transitions(connection: Connection, steps: Sequence[Step]) -> None:
    """Write steps down, in their order."""
    rows = [
        [
            *values_of(step, _SAME),
            step.from_.state if step.from_ else None,
            step.from_.severity if step.from_ else None,
            step.to.state,
            step.to.severity,
            step.markers or None,
        ]
        for step in steps
    ]
    columns = (*_SAME, "from_state", "from_severity", "to_state", "to_severity", "markers")
    await connection.executemany(insert_into("transition", columns), rows)


async def newest_alerts(connection: Connection, incident_ids: Collection[UUID]) -> dict[UUID, GroupedAlert]:
    """By incident: the step that called somebody last."""
    rows = await connection.fetch(
        """
        SELECT requested.incident_id, last.model_id, last.cause, last.why, last.markers
          FROM unnest($1::uuid[]) AS requested (incident_id)
         CROSS JOIN LATERAL (
               SELECT model_id, cause, why, markers
                 FROM transition
                WHERE transition.incident_id = requested.incident_id
                  AND kind = ANY ($2)
                ORDER BY sequence DESC
                LIMIT 1
               ) AS last
        """,
        list(incident_ids),
        ALARMING,
    )
    return {row["incident_id"]: _alert({**row, "markers": row["markers"] or ()}) for row in rows}


async def list_transitions(
    connection: Connection, incident_id: UUID, public_url: str, after: int, limit: int
) -> list[Transition]:
    """An incident's timeline, oldest first, from after sequence `after` on."""
    rows = await connection.fetch(
        f"""
        SELECT {TRANSITION_COLUMNS}
          FROM transition
          JOIN incident USING (incident_id)
         WHERE incident_id = $1 AND transition.sequence > $2::bigint
         ORDER BY transition.sequence
         LIMIT $3
        """,
        incident_id,
        after,
        limit,
    )
    return [transition_of(row, public_url) for row in rows]


async def find_step(
    connection: Connection, incident_id: UUID, sequence: int
) -> tuple[TransitionKind, Cause, Actor, str | None] | None:
    """(kind, cause, actor, note) of one step of an incident."""
    row = await connection.fetchrow(
        "SELECT kind, cause, actor, note FROM transition WHERE incident_id = $1 AND sequence = $2",
        incident_id, sequence,
    )  # fmt: skip
    if row is None:
        return None
    return TransitionKind(row["kind"]), Cause(row["cause"]), Actor.model_validate(row["actor"]), row["note"]


async def find_ever_critical(connection: Connection, incident_ids: Collection[UUID]) -> set[UUID]:
    """Those among incidents that were critical at any time."""
    rows = await connection.fetch(
        "SELECT DISTINCT incident_id FROM transition WHERE incident_id = ANY ($1) AND to_severity = 'critical'",
        list(incident_ids),
    )
    return {row["incident_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A whole evaluation, kept for one moment of an incident."""

    role: EvidenceRole
    evaluation: Evaluation


_evidence, _moment = reader_of(Evidence), reader_of(Moment)


async def keep_evidence(connection: Connection, kept: Sequence[tuple[UUID, EvidenceRole, Evaluation]]) -> None:
    """Keep evaluations for roles in incidents: the peak moves, every other one stays."""
    await connection.executemany(
        """
        INSERT INTO evidence (incident_id, role, evaluation_id, evaluated_at, evaluation)
        SELECT $1::uuid, $2::text, $3::uuid, $4::timestamptz, $5::json
         WHERE NOT EXISTS (SELECT FROM evidence WHERE incident_id = $1 AND role = $2 AND evaluation_id = $3)
        ON CONFLICT (incident_id) WHERE role = 'peak'
        DO UPDATE SET evaluation_id = excluded.evaluation_id, evaluated_at = excluded.evaluated_at,
                      evaluation = excluded.evaluation
        """,
        [
            (incident_id, role, found.evaluation_id, found.evaluated_at, stored_whole(found))
            for incident_id, role, found in kept
        ],
    )


async def list_evidence_times(connection: Connection, incident_id: UUID) -> list[Moment]:
    """For which roles and times of an incident evaluations are kept, oldest first."""
    rows = await connection.fetch(
        "SELECT role, evaluation_id, evaluated_at FROM evidence WHERE incident_id = $1 ORDER BY evaluated_at, role",
        incident_id,
    )
    return [_moment(row) for row in rows]


async def find_evidence(connection: Connection, incident_id: UUID, evaluation_id: UUID) -> Evaluation | None:
    """One whole evaluation that is kept for an incident."""
    found = await connection.fetchval(
        "SELECT evaluation FROM evidence WHERE incident_id = $1 AND evaluation_id = $2 LIMIT 1",
        incident_id,
        evaluation_id,
    )
    return Evaluation.model_validate(found) if found is not None else None


async def list_evidence(connection: Connection, incident_id: UUID) -> list[Evidence]:
    """What an incident rests on, oldest first."""
    rows = await connection.fetch(
        "SELECT role, evaluation FROM evidence WHERE incident_id = $1 ORDER BY evaluated_at, role", incident_id
    )
    return [_evidence(row) for row in rows]
