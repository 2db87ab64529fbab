"""Markers of models: at what time what happened, as people and programs say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Actor
from sentryml_common.postgres.pool import Connection
from sentryml_common.postgres.rows import insert_into, names_of, reader_of, values_of


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at a time, and who has noted it when."""

    marker_id: UUID
    model_id: str
    at: datetime
    text: str
    made_at: datetime
    actor: Actor


_marker = reader_of(Marker)
_NAMES = names_of(Marker)
COLUMNS = ", ".join(_NAMES)


async def insert_marker(connection: Connection, marker: Marker, most: int) -> Marker:
    """Keep a marker, and of its model the newest `most`; keeping one twice is keeping it once. Return the one kept."""
    insert = f"{insert_into('marker', _NAMES)} ON CONFLICT DO NOTHING"
    await connection.execute(insert, *values_of(marker, _NAMES))
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM marker WHERE marker_id = $1", marker.marker_id)
    await connection.execute(
        """
        DELETE FROM marker
         WHERE model_id = $1 AND marker_id IN (
               SELECT marker_id FROM marker WHERE model_id = $1 ORDER BY made_at DESC, marker_id DESC OFFSET $2)
        """,
        marker.model_id,
        most,
    )
    assert row is not None
    return _marker(row)


async def list_markers(
    connection: Connection, model_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[Marker]:
    """Markers of a model, the latest time first, from after `before` on."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS}
          FROM marker
         WHERE model_id = $1 AND ($2::timestamptz IS NULL OR (at, marker_id) < ($2, $3::uuid))
         ORDER BY at DESC, marker_id DESC
         LIMIT $4
        """,
        model_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
    return [_marker(row) for row in rows]


async def markers_between(
    connection: Connection, model_id: str, start: datetime, end: datetime, limit: int
) -> list[Marker]:
    """The markers of a time, the latest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM marker WHERE model_id = $1 AND at BETWEEN $2 AND $3
         ORDER BY at DESC, marker_id DESC LIMIT $4
        """,
        model_id,
        start,
        end,
        limit,
    )
    return [_marker(row) for row in rows]


async def delete_marker(connection: Connection, model_id: str, marker_id: UUID) -> bool:
    """Delete a marker of a model; whether there was one."""
    done = await connection.execute("DELETE FROM marker WHERE model_id = $1 AND marker_id = $2", model_id, marker_id)
    return str(done) == "DELETE 1"


async def delete_markers(connection: Connection, model_id: str) -> None:
    """Delete all markers of a model."""
    await connection.execute("DELETE FROM marker WHERE model_id = $1", model_id)
