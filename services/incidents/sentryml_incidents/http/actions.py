"""`POST /v1/incidents/{id}/acknowledge | unacknowledge | close | notes`: what people and programs do to incidents.

Asking again for what already is answers 200 and changes nothing; `If-Match` makes sure that one acts on what one
has seen (and that a note sent twice is kept once).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.lifecycle import Asked
from sentryml_incidents.domain.people import Action
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.http.acting import NoteText, act
from sentryml_incidents.http.auth import Writer, actor_of
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.incidents import Reference, etag_of, known_incident
from sentryml_incidents.http.views import IncidentView, incident_view

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

IfMatch = Annotated[str | None, Header(description="ETag of the incident as you saw it; 412 if it has moved on.")]


class WithNote(BaseModel):
    """What may come with an action."""

    model_config = ConfigDict(extra="forbid")

    note: NoteText | None = None


class Note(BaseModel):
    """A note for the timeline."""

    model_config = ConfigDict(extra="forbid")

    note: NoteText


@router.post("/{reference}/acknowledge")
async def acknowledge(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: WithNote | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """Say that it was seen. Silences nothing: it alerts again when it gets worse, comes back or resolves."""
    note = body.note if body else None
    return await _act(context, key, reference, Action.ACKNOWLEDGE, note, if_match, response)


@router.post("/{reference}/unacknowledge")
async def unacknowledge(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: WithNote | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """Take an acknowledgement back."""
    note = body.note if body else None
    return await _act(context, key, reference, Action.UNACKNOWLEDGE, note, if_match, response)


@router.post("/{reference}/close")
async def close(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: WithNote | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """End an incident that was acknowledged or has resolved. If it still drifts, it stays quiet until it is worse, has
    recovered, or `latched_until` has come."""
    note = body.note if body else None
    return await _act(context, key, reference, Action.CLOSE, note, if_match, response)


@router.post("/{reference}/notes")
async def add_note(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: Note,
    if_match: IfMatch = None,
) -> IncidentView:
    """Write a note on the timeline, in any state."""
    return await _act(context, key, reference, Action.NOTE, body.note, if_match, response)


async def _act(
    context: Context,
    key: ApiKey,
    reference: str,
    action: Action,
    note: str | None,
    if_match: str | None,
    response: Response,
) -> IncidentView:
    async def find(connection: Connection) -> Incident:
        return await known_incident(connection, key, reference)

    incident = await act(context, find, Asked(action, actor_of(key), note), if_match)
    response.headers["ETag"] = etag_of(incident)
    return incident_view(incident, context.public_url)
