"""Lists of incidents for people: filtered, sorted and paged by keyset, each row with what a person asks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sentryml_common.contracts.transition import SignalWhy
from sentryml_common.group_text import GroupedAlert
from sentryml_common.postgres.model_patterns import model_regexes
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.listing import Listing, Order
from sentryml_incidents.store.incident_rows import INCIDENT_COLUMNS, incident_of
from sentryml_incidents.store.timeline import newest_alerts
from sentryml_lifecycle.snapshot import Incident

MOST_COUNTED: Final = 10_000
"""Beyond it a count is only said to be more: counting takes as long as there are rows."""

Place = list[int | float | str]
"""A row's place in its list: the values that the order goes by."""

# What the order goes by, all in one direction: then a place compares as a row.
KEYS: Final[dict[Order, tuple[tuple[str, ...], str]]] = {
    Order.NEWEST: (("incident_number",), "DESC"),
    Order.OLDEST: (("incident_number",), "ASC"),
    Order.PEAK: (("peak_psi", "incident_number"), "DESC"),
    Order.MODEL: (("model_id", "-incident_number"), "ASC"),
}
TYPES: Final = {"incident_number": "bigint", "-incident_number": "bigint", "peak_psi": "float8", "model_id": "text"}
OPPOSITE: Final = {"ASC": "DESC", "DESC": "ASC"}

WHERE: Final = """
               ($1::text[] IS NULL OR state = ANY ($1))
           AND ($2::text IS NULL
                OR CASE WHEN state IN ('open', 'acknowledged') THEN severity ELSE worst_severity END = $2)
           AND ($3::text[] IS NULL OR model_id ~ ANY ($3))
           AND ($4::timestamptz IS NULL OR opened_at >= $4)
           AND ($5::timestamptz IS NULL OR opened_at < $5)
           AND (NOT $6 OR incident_id IN (SELECT incident_id FROM delivery WHERE delivery.state = 'parked'))
           AND ($7::uuid IS NULL OR incident_id IN (SELECT incident_id FROM delivery WHERE group_id = $7))
"""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident in a list: its last alert, the numbers of undeliverable messages and unrouted alerts."""

    incident: Incident
    alert: GroupedAlert
    undeliverable: int
    without_route: int

    @property
    def why(self) -> tuple[SignalWhy, ...]:
        """Why it last alerted."""
        return self.alert.why


def place_of(incident: Incident, order: Order) -> Place:
    """An incident's place in a list."""
    number = incident.incident_number or 0
    match order:
        case Order.PEAK:
            return [incident.peak_psi, number]
        case Order.MODEL:
            return [incident.model_id, -number]
        case _:
            return [number]


async def read_incident_list(
    connection: Connection,
    requested: Listing,
    now: datetime,
    place: Place | None,
    limit: int,
    *,
    backwards: bool = False,
) -> list[Incident]:
    """Incidents in the order asked for, from after `place` on, or `backwards` those that end before it."""
    keys, direction = KEYS[requested.order]
    direction = OPPOSITE[direction] if backwards else direction
    beyond = ""
    if place is not None:
        # A mark for each part of the place, after the seven of WHERE and the limit.
        marks = ", ".join(f"${number}::{TYPES[key]}" for number, key in enumerate(keys, start=9))
        beyond = f"AND ({', '.join(keys)}) {'>' if direction == 'ASC' else '<'} ({marks})"
    rows = await connection.fetch(
        f"""
        SELECT {INCIDENT_COLUMNS}
          FROM incident
         WHERE {WHERE} {beyond}
         ORDER BY {", ".join(f"{key} {direction}" for key in keys)}
         LIMIT $8
        """,
        *_values(requested, now),
        limit,
        *(place or ()),
    )
    found = [incident_of(row) for row in rows]
    return found[::-1] if backwards else found


async def count_incidents(connection: Connection, requested: Listing, now: datetime) -> int:
    """How many incidents a list has on all its pages; MOST_COUNTED + 1 where there are more."""
    found: int = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT FROM incident WHERE {WHERE} LIMIT {MOST_COUNTED + 1}) AS found",
        *_values(requested, now),
    )
    return found


async def read_rows(connection: Connection, incidents: Sequence[Incident]) -> list[IncidentRow]:
    """The incidents of a page with what their rows show."""
    ids = [incident.incident_id for incident in incidents]
    alerts, trouble = await newest_alerts(connection, ids), await _trouble(connection, ids)
    return [IncidentRow(each, alerts[each.incident_id], *trouble.get(each.incident_id, (0, 0))) for each in incidents]


async def _trouble(connection: Connection, ids: list[UUID]) -> dict[UUID, tuple[int, int]]:
    """By incident: (undeliverable messages, alerts that had no route)."""
    rows = await connection.fetch(
        """
        SELECT incident_id, count(*) FILTER (WHERE state = 'parked') AS undeliverable,
               count(*) FILTER (WHERE state = 'no_route') AS without_route
          FROM delivery
         WHERE incident_id = ANY ($1) AND state IN ('parked', 'no_route')
         GROUP BY incident_id
        """,
        ids,
    )
    return {row["incident_id"]: (row["undeliverable"], row["without_route"]) for row in rows}


def _values(requested: Listing, now: datetime) -> tuple[Any, ...]:
    """The values of WHERE."""
    return (
        requested.standing.states if requested.standing else None,
        requested.severity,
        model_regexes([requested.pattern]) if requested.pattern else None,
        requested.opened_from(now),
        requested.opened_before,
        requested.undeliverable,
        requested.group,
    )
