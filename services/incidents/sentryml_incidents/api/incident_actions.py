"""`POST /v1/incidents/{id}/…`: what people and programs do to incidents.

Asking again for what already is answers 200 and changes nothing; `If-Match` makes sure that one acts on what one
has seen (and that a note sent twice is kept once, also when its first answer got lost).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.http.access import actor_of
from sentryml_common.http.etags import VERSIONED, IfMatch
from sentryml_common.http.problems import problem_answers
from sentryml_common.http.times import WithOffset
from sentryml_common.http.versions import etag
from sentryml_incidents.api.auth import Writer
from sentryml_incidents.api.incidents import UNKNOWN, Reference
from sentryml_incidents.api.views import IncidentView, incident_view
from sentryml_incidents.usecases.act_on_incident import act
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.texts import NoteText
from sentryml_lifecycle.events.on_action import Action

ACTED = {
    **VERSIONED,
    **UNKNOWN,
    **problem_answers(
        (409, "Its state does not allow it; `allowed` lists the actions that it does."),
        (412, "It has moved on since the `If-Match` that was sent; `incident` is its current state."),
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


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """What a request for an action says, but for its body."""

    context: WithContext
    key: Writer
    reference: Reference
    response: Response
    if_match: IfMatch = None

    async def act(self, action: Action, body: WithNote | Note | None, since: datetime | None = None) -> IncidentView:
        """Do it. The answer's `ETag` is the version of the incident afterwards."""
        actor, may_see, note = actor_of(self.key), self.key.allows_model, body.note if body else None
        incident = await act(self.context, actor, may_see, self.reference, action, note, self.if_match, since)
        self.response.headers["ETag"] = etag(incident.sequence)
        return incident_view(incident, self.context.public_url)


Requested = Annotated[ActionRequest, Depends()]


@router.post("/{reference}/acknowledge")
async def acknowledge(request: Requested, body: WithNote | None = None) -> IncidentView:
    """Say that it was seen. Does not mute alerts: it alerts again when it gets worse, comes back or resolves."""
    return await request.act(Action.ACKNOWLEDGE, body)


@router.post("/{reference}/unacknowledge")
async def unacknowledge(request: Requested, body: WithNote | None = None) -> IncidentView:
    """Take an acknowledgement back."""
    return await request.act(Action.UNACKNOWLEDGE, body)


@router.post("/{reference}/close")
async def close(request: Requested, body: WithNote | None = None) -> IncidentView:
    """End an incident that was acknowledged or has resolved. If it still drifts, it stays quiet until it is worse, has
    recovered, or `latched_until` has come."""
    return await request.act(Action.CLOSE, body)


@router.post("/{reference}/accept")
async def accept(request: Requested, body: Accepting | None = None) -> IncidentView:
    """Accept a lasting change as the new normal. The incident closes; the baseline is made of what has been since it
    opened, or since `since`. The model is evaluated again once that is as long as the current window."""
    return await request.act(Action.ACCEPT, body, body.since if body else None)


@router.post("/{reference}/was-normal")
async def was_normal(request: Requested, body: WithNote | None = None) -> IncidentView:
    """Say that what it is about was normal: a sale, a holiday, a false alarm. The incident closes, and its time counts
    as normal again. While the drift goes on, the model stays quiet as after closing."""
    return await request.act(Action.WAS_NORMAL, body)


@router.post("/{reference}/undo")
async def undo(request: Requested, body: WithNote | None = None) -> IncidentView:
    """Take back `accept` or `was-normal`, for 7 days or until another incident opens. The incident is open again, and
    normal time is as it was before."""
    return await request.act(Action.UNDO, body)


@router.post("/{reference}/notes")
async def add_note(request: Requested, body: Note) -> IncidentView:
    """Write a note on the timeline, in any state. Send it with `If-Match`, and it may be sent again safely: it is kept
    once."""
    return await request.act(Action.NOTE, body)
