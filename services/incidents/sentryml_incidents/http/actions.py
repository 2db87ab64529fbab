"""`POST /v1/incidents/{id}/acknowledge | unacknowledge | close | notes`: what people and programs do to incidents.

Asking again for what already is answers 200 and changes nothing; `If-Match` makes sure that one acts on what one
has seen (and that a note sent twice is kept once).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.http.problems import Problem
from sentryml_incidents.domain.decision import Outcome
from sentryml_incidents.domain.lifecycle import Asked, decide
from sentryml_incidents.domain.people import ALLOWED, Action
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.http.auth import Writer, actor_of
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.incidents import Reference, etag_of, known_incident
from sentryml_incidents.http.views import IncidentView, incident_view
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

NoteText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=r"^[^\x00]*$")
]
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
    async with context.transaction() as connection:
        found = await known_incident(connection, key, reference)
        snapshot = await lock_snapshot(connection, found.model_id, found.incident_id)
        if snapshot is None or snapshot.incident is None or snapshot.incident.model_deleted_at is not None:
            raise _model_deleted(found)
        _check_match(context, snapshot.incident, if_match)
        decision = decide(snapshot, Asked(action, actor_of(key), note), context.now())
        if decision.outcome is Outcome.NOT_ALLOWED:
            raise _not_allowed(snapshot.incident, action)
        if decision.outcome is Outcome.APPLIED:
            await save_decision(connection, snapshot, decision)
    report_transitions(decision)
    assert decision.snapshot.incident is not None
    response.headers["ETag"] = etag_of(decision.snapshot.incident)
    return incident_view(decision.snapshot.incident, context.public_url)


def _check_match(context: Context, incident: Incident, if_match: str | None) -> None:
    """Refuse to act on an incident that has moved on since it was looked at."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(incident) in {tag.strip() for tag in if_match.split(",")}:
        return
    raise Problem(
        412,
        "incident-moved-on",
        f"incident {incident.incident_number} is at {etag_of(incident)} by now: look at it again",
        headers={"ETag": etag_of(incident)},
        incident=incident_view(incident, context.public_url).model_dump(mode="json"),
    )


def _model_deleted(incident: Incident) -> Problem:
    detail = f"the model of incident {incident.incident_number} was deleted: it can be read, and nothing else"
    return Problem(409, "model-deleted", detail)


def _not_allowed(incident: Incident, action: Action) -> Problem:
    allowed = [str(each) for each in ALLOWED[incident.state]]
    hint = "; acknowledge it first" if action is Action.CLOSE else ""
    return Problem(
        409,
        "not-allowed",
        f"incident {incident.incident_number} is {incident.state}: {action} is not allowed{hint}. Allowed now: "
        f"{', '.join(allowed)}",
        state=incident.state,
        allowed=allowed,
    )
