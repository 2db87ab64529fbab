"""`/v1/incidents`: list, one, its timeline and evidence, and the four things that can be done to it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, Field, TypeAdapter

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.message import MODEL_ID_PATTERN
from sentryml_common.contracts.transition import Severity, State, Transition
from sentryml_common.http.problems import Problem
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.http.auth import Reader, check_model
from sentryml_incidents.http.context import WithContext
from sentryml_incidents.http.paging import Cursor, Limit, Page, from_cursor, to_cursor
from sentryml_incidents.http.views import EvidenceView, IncidentView, incident_view
from sentryml_incidents.store.incidents import IncidentFilter, find_incident, list_incidents
from sentryml_incidents.store.timeline import list_evidence, list_transitions

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

LARGEST_NUMBER = 2**63 - 1

Reference = Annotated[str, Path(description="The incident's id or its number.", max_length=36)]
States = Annotated[list[State] | None, Query(alias="state", description="Only these states; may be repeated.")]
Severities = Annotated[list[Severity] | None, Query(alias="severity", description="Only these; may be repeated.")]
OfModel = Annotated[str | None, Query(alias="model", pattern=MODEL_ID_PATTERN, description="Only this model.")]
Since = Annotated[AwareDatetime | None, Query(description="Only incidents opened then or later; with offset.")]

_NUMBER = TypeAdapter(Annotated[int, Field(ge=0, le=LARGEST_NUMBER)])


@router.get("")
async def list_all(
    context: WithContext,
    key: Reader,
    states: States = None,
    severities: Severities = None,
    model: OfModel = None,
    since: Since = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[IncidentView]:
    """Incidents, newest first."""
    wanted = IncidentFilter(tuple(states or ()) or None, tuple(severities or ()) or None, model, since, key.models)
    async with context.transaction() as connection:
        found = await list_incidents(connection, wanted, from_cursor(cursor, _NUMBER), limit)
    items = [incident_view(each, context.public_url) for each in found]
    last = found[-1].incident_number if len(found) == limit else None
    return Page(items=items, next_cursor=to_cursor(last) if last else None)


@router.get("/{reference}")
async def show(context: WithContext, key: Reader, reference: Reference, response: Response) -> IncidentView:
    """One incident. Its `ETag` changes with every transition; give it as `If-Match` to act on what you saw."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key, reference)
    response.headers["ETag"] = etag_of(incident)
    return incident_view(incident, context.public_url)


@router.get("/{reference}/timeline")
async def show_timeline(
    context: WithContext, key: Reader, reference: Reference, cursor: Cursor = None, limit: Limit = 200
) -> Page[Transition]:
    """Everything that happened to an incident, oldest first, as it was published."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key, reference)
        after = from_cursor(cursor, _NUMBER) or 0
        found = await list_transitions(connection, incident.incident_id, context.public_url, after, limit)
    return Page(items=found, next_cursor=to_cursor(found[-1].sequence) if len(found) == limit else None)


@router.get("/{reference}/evidence")
async def show_evidence(context: WithContext, key: Reader, reference: Reference) -> Page[EvidenceView]:
    """The evaluations that an incident rests on, whole: at opening, at each change of severity, at its peak, at its
    end. Kept for ever."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key, reference)
        found = await list_evidence(connection, incident.incident_id)
    items = [EvidenceView(role=each.role, evaluation=each.evaluation) for each in found]
    return Page(items=items, next_cursor=None)


async def known_incident(connection: Connection, key: ApiKey, reference: str) -> Incident:
    """An incident that exists, and that the key may see.

    Raises:
        Problem: 404 or 403.
    """
    parsed = read_reference(reference)
    incident = await find_incident(connection, parsed) if parsed is not None else None
    if incident is None:
        raise Problem(404, "unknown-incident", f"there is no incident {reference}")
    check_model(key, incident.model_id)
    return incident


def read_reference(reference: str) -> UUID | int | None:
    """A UUID or a number; None if it is neither."""
    if reference.isascii() and reference.isdigit():
        number = int(reference)
        return number if number <= LARGEST_NUMBER else None
    try:
        return UUID(reference)
    except ValueError:
        return None


def etag_of(incident: Incident) -> str:
    """The incident's version."""
    return f'"v{incident.sequence}"'
