"""`/v1/incidents`: list, one, its timeline, its deliveries and its evidence."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, TypeAdapter

from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.message import MODEL_ID_PATTERN
from sentryml_common.contracts.transition import Severity, State, Transition
from sentryml_common.http.etags import CACHED, IfNoneMatch, not_modified
from sentryml_common.http.paging import Cursor, Limit, Page, from_cursor, next_cursor
from sentryml_common.http.problems import problem_answers
from sentryml_common.http.times import WithOffset
from sentryml_common.http.versions import etag
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.api.views import EvidenceView, IncidentView, incident_view, view_of
from sentryml_incidents.store.deliveries import BEFORE_ALL, list_deliveries
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents
from sentryml_incidents.store.timeline import list_evidence, list_transitions
from sentryml_incidents.usecases.act_on_incident import LARGEST_NUMBER, known_incident
from sentryml_incidents.usecases.context import WithContext

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

UNKNOWN = problem_answers((404, "There is no such incident, or the key has no access to its model."))

Reference = Annotated[str, Path(description="The incident's id or its number.", max_length=36, examples=["1"])]
States = Annotated[list[State] | None, Query(alias="state", description="Only these states; may be repeated.")]
Severities = Annotated[list[Severity] | None, Query(alias="severity", description="Only these; may be repeated.")]
OfModel = Annotated[str | None, Query(alias="model", pattern=MODEL_ID_PATTERN, description="Only this model.")]

Since = Annotated[
    WithOffset | None,
    Query(description="Only incidents opened then or later; with offset.", examples=["2026-11-23T09:15:00Z"]),
]

_NUMBER = TypeAdapter(Annotated[int, Field(ge=0, le=LARGEST_NUMBER)])
_PLACE = TypeAdapter(tuple[Annotated[int, Field(ge=0, le=LARGEST_NUMBER)], UUID])


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
    """Incidents, newest first: by falling number, which never changes, so that pages follow each other without gap or
    repetition while incidents arrive."""
    requested = IncidentFilter(tuple(states or ()) or None, tuple(severities or ()) or None, model, since, key.models)
    async with context.transaction() as connection:
        found = await list_incidents(connection, requested, from_cursor(cursor, _NUMBER), limit)
    items = [incident_view(each, context.public_url) for each in found]
    return Page(items=items, next_cursor=next_cursor(found, limit, lambda last: last.incident_number))


@router.get("/{reference}", responses={**CACHED, **UNKNOWN}, response_model=IncidentView)
async def show(
    context: WithContext, key: Reader, reference: Reference, response: Response, if_none_match: IfNoneMatch = None
) -> IncidentView | Response:
    """One incident. Its `ETag` changes with every transition; give it as `If-Match` to act on what you saw."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key.allows_model, reference)
    current = etag(incident.sequence)
    if (unchanged := not_modified(if_none_match, current)) is not None:
        return unchanged
    response.headers["ETag"] = current
    return incident_view(incident, context.public_url)


@router.get("/{reference}/timeline", responses=UNKNOWN)
async def show_timeline(
    context: WithContext, key: Reader, reference: Reference, cursor: Cursor = None, limit: Limit = 200
) -> Page[Transition]:
    """Everything that happened to an incident, oldest first, as it was published."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key.allows_model, reference)
        after = from_cursor(cursor, _NUMBER) or 0
        found = await list_transitions(connection, incident.incident_id, context.public_url, after, limit)
    return Page(items=found, next_cursor=next_cursor(found, limit, lambda last: last.sequence))


@router.get("/{reference}/deliveries", responses=UNKNOWN)
async def show_deliveries(
    context: WithContext, key: Reader, reference: Reference, cursor: Cursor = None, limit: Limit = 200
) -> Page[Delivery]:
    """Where each alert of an incident went, and what became of it, in the order of its timeline: as last published by
    the notifier. One whose `state` is `no_route` went nowhere: nobody was notified."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key.allows_model, reference)
        after = from_cursor(cursor, _PLACE) or BEFORE_ALL
        found = await list_deliveries(connection, incident.incident_id, after, limit)
    return Page(items=found, next_cursor=next_cursor(found, limit, lambda last: (last.sequence, last.delivery_id)))


@router.get("/{reference}/evidence", responses=UNKNOWN)
async def show_evidence(context: WithContext, key: Reader, reference: Reference) -> Page[EvidenceView]:
    """The evaluations that an incident rests on, whole: at opening, at each change of severity, at its peak, at its
    end. Kept for ever."""
    async with context.transaction() as connection:
        incident = await known_incident(connection, key.allows_model, reference)
        found = await list_evidence(connection, incident.incident_id)
    return Page(items=[view_of(EvidenceView, each) for each in found], next_cursor=None)
