"""Rows of `incident` as domain values, and back: a column for each field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import asyncpg

from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of
from sentryml_lifecycle.snapshot import Incident

INCIDENT_COLUMNS: Final = ", ".join(f"incident.{name}" for name in names_of(Incident))
GIVEN_BY_DATABASE: Final = frozenset({"incident_number", "model_deleted_at"})
LASTING: Final = {"incident_id", "model_id", "opened_at", "previous_incident_id"}
"""What an incident is about, which never changes."""

_WRITTEN: Final = names_of(Incident, but=GIVEN_BY_DATABASE)
_MARKS: Final = {name: f"${number}" for number, name in enumerate(_WRITTEN, start=1)}
_read = reader_of(Incident)


def incident_of(row: asyncpg.Record) -> Incident:
    """A row with INCIDENT_COLUMNS as an incident."""
    # The last release, while it still runs beside this one, writes the severity alone.
    worst = "critical" if row["severity"] == "critical" else row["worst_severity"]
    return _read({**row, "worst_severity": worst})


async def insert_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write new incidents, in their order; the database gives them their numbers."""
    rows = [values_of(each, _WRITTEN) for each in incidents]
    await connection.executemany(insert_into("incident", _WRITTEN), rows)


async def update_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Write incidents as they stand now."""
    await connection.executemany(
        f"""
        UPDATE incident
           SET {", ".join(f"{name} = {mark}" for name, mark in _MARKS.items() if name not in LASTING)}
         WHERE incident_id = {_MARKS["incident_id"]} AND model_id = {_MARKS["model_id"]}
           AND opened_at = {_MARKS["opened_at"]}
           AND previous_incident_id IS NOT DISTINCT FROM {_MARKS["previous_incident_id"]}
        """,
        [values_of(each, _WRITTEN) for each in incidents],
    )
