"""`POST /v1/incidents/{id}/…`: what people and programs do to incidents.

Asking again for what already is answers 200 and changes nothing; `If-Match` makes sure that one acts on what one
has seen (and that a note sent twice is kept once, also when its first answer got lost).
"""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.http.access import actor_of
from sentryml_common.http.etags import VERSIONED, IfMatch, etag
from sentryml_common.http.problems import problem_answers
from sentryml_common.http.times import WithOffset
from sentryml_incidents.api.auth import Writer
from sentryml_incidents.api.incidents import UNKNOWN, Reference
from sentryml_incidents.api.views import IncidentView, incident_view
from sentryml_incidents.usecases.act_on_incident import act
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.texts import NoteText
from sentryml_lifecycle.on_action import Action

ACTED = {
    **VERSIONED,
    **UNKNOWN,
    **problem_answers(
        (409, "Its state does not allow it; `allowed` says what it does."),
        (412, "It has moved on since the `If-Match` that was sent; `incident` is how it stands."),
    ),
}

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], responses=ACTED)


class WithNote(BaseModel):
    """What may come with an action."""

    model_config = ConfigDict(extra="forbid")

    note: NoteText | None = None


class Accepting(WithNote):
    """What may come with accepting a new normal."""

    since: WithOffset | None = Field(
        None,
        description="When the new normal began: from the opening of the incident, which is the default, until now.",
    )


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
    """Say that it was seen. Does not mute alerts: it alerts again when it gets worse, comes back or resolves."""
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


@router.post("/{reference}/accept")
async def accept(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: Accepting | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """Accept a lasting change as the new normal. The incident closes; the baseline is made of what has been since it
    opened, or since `since`. The model is evaluated again once that is as long as the current window."""
    body = body or Accepting()
    return await _act(context, key, reference, Action.ACCEPT, body.note, if_match, response, body.since)


@router.post("/{reference}/was-normal")
async def was_normal(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: WithNote | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """Say that what it is about was normal: a sale, a holiday, a false alarm. The incident closes, and its time counts
    as normal again. While the drift goes on, the model stays quiet as after closing."""
    note = body.note if body else None
    return await _act(context, key, reference, Action.WAS_NORMAL, note, if_match, response)


@router.post("/{reference}/undo")
async def undo(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: WithNote | None = None,
    if_match: IfMatch = None,
) -> IncidentView:
    """Take back `accept` or `was-normal`, for 7 days or until another incident opens. The incident is open again, and
    normal time is as it was before."""
    note = body.note if body else None
    return await _act(context, key, reference, Action.UNDO, note, if_match, response)


@router.post("/{reference}/notes")
async def add_note(
    context: WithContext,
    key: Writer,
    reference: Reference,
    response: Response,
    body: Note,
    if_match: IfMatch = None,
) -> IncidentView:
    """Write a note on the timeline, in any state. Send it with `If-Match`, and it may be sent again safely: it is kept
    once."""
    return await _act(context, key, reference, Action.NOTE, body.note, if_match, response)


async def _act(
    context: Context,
    key: ApiKey,
    reference: str,
    action: Action,
    note: str | None,
    if_match: str | None,
    response: Response,
    since: datetime | None = None,
) -> IncidentView:
    incident = await act(context, actor_of(key), key.allows_model, reference, action, note, if_match, since)
    response.headers["ETag"] = etag(incident.sequence)
    return incident_view(incident, context.public_url)
