"""The pages of incidents: the list, and one incident with what can be done to it. Complete without JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.contracts.transition import State
from sentryml_common.http.problems import Problem
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.offers import offers
from sentryml_incidents.domain.people import Action
from sentryml_incidents.domain.snapshot import Incident
from sentryml_incidents.http import (
    account,
    delete_page,
    keys,
    model_page,
    monitor_page,
    monitor_switch,
    overview,
    sign_in,
    users,
)
from sentryml_incidents.http.acting import LARGEST_NUMBER, act, everything, read_reference
from sentryml_incidents.http.context import Context, WithContext
from sentryml_incidents.http.incident_page import read_incident_page
from sentryml_incidents.http.rendering import PageRoute, go_to, render
from sentryml_incidents.http.session import Reader, Responder, Visitor
from sentryml_incidents.http.texts import NOTE_LENGTH_MAX
from sentryml_incidents.store.deliveries import count_stuck
from sentryml_incidents.store.incidents import IncidentFilter, find_incident, list_incidents

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ROWS = 50
STATIC = Path(__file__).resolve().parent.parent / "static"

PageState = Annotated[State | None, Query(alias="state")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)]
NoteField = Annotated[str, Form(max_length=2 * NOTE_LENGTH_MAX)]
SeenField = Annotated[str, Form(pattern=r'^"v\d{1,10}"$')]


def install_pages(app: FastAPI) -> None:
    """Give the pages and their style sheet to `app`."""
    for part in (router, overview.router, model_page.router, sign_in.router, account.router, keys.router, users.router):
        app.include_router(part)
    for part in (monitor_page.router, monitor_switch.router, delete_page.router):
        app.include_router(part)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


@router.get("/")
async def start() -> RedirectResponse:
    """The overview says what is wrong first."""
    return RedirectResponse("models", status_code=302)


@router.get("/incidents")
async def show_list(
    request: Request,
    context: WithContext,
    visitor: Reader,
    state: PageState = None,
    stuck: bool = False,
    before: Before = None,
) -> Response:
    """Incidents, newest first; `stuck` leaves those of which a message is stuck."""
    async with context.transaction() as connection:
        wanted = IncidentFilter(states=(state,) if state else None, stuck=stuck)
        found = await list_incidents(connection, wanted, before, ROWS + 1)
        stuck_messages, of_incidents = await count_stuck(connection)
    return render(
        request,
        "incidents.html",
        incidents=found[:ROWS],
        older=found[ROWS - 1].incident_number if len(found) > ROWS else None,
        state=state,
        states=list(State),
        stuck=stuck,
        stuck_messages=stuck_messages,
        of_incidents=of_incidents,
        first=before is None,
    )


@router.get("/incidents/{reference}")
async def show_incident(request: Request, context: WithContext, visitor: Reader, reference: str) -> Response:
    """One incident: what, how bad, why, since when, what next, and everything that happened to it."""
    return await _incident(request, context, visitor, reference)


@router.post("/incidents/{reference}/{action}")
async def act_on_incident(
    request: Request,
    context: WithContext,
    visitor: Responder,
    reference: str,
    action: Action,
    seen: SeenField,
    note: NoteField = "",
) -> Response:
    """Acknowledge, take that back, close, or write a note; `seen` is the version of the incident that one has seen."""
    text = note.replace("\r\n", "\n").strip()
    try:
        _check_note(action, text)
        await act(context, visitor.actor, everything, reference, action, text or None, seen)
    except Problem as err:
        if err.status == 404:
            raise
        return await _incident(request, context, visitor, reference, err.status, _in_words(err), note)
    return go_to(request, f"/incidents/{reference}")


async def _incident(
    request: Request,
    context: Context,
    visitor: Visitor,
    reference: str,
    status: int = 200,
    refused: str | None = None,
    note: str = "",
) -> Response:
    """The page of an incident; with what was refused, and the note that would have come with it."""
    async with context.transaction() as connection:
        known = await _known_incident(connection, reference)
        page = await read_incident_page(connection, known.incident_id, context.public_url, context.now())
    assert page is not None
    return render(
        request,
        "incident.html",
        status=status,
        page=page,
        incident=page.incident,
        offers=offers(page.incident, visitor.actor),
        refused=refused,
        note=note,
        note_length_max=NOTE_LENGTH_MAX,
    )


async def _known_incident(connection: Connection, reference: str) -> Incident:
    parsed = read_reference(reference)
    found = await find_incident(connection, parsed) if parsed is not None else None
    if found is None:
        raise Problem(
            404, "unknown-incident", f"There is no such incident: none has the number {without_keys(reference)}."
        )
    return found


def _check_note(action: Action, text: str) -> None:
    if action is Action.NOTE and not text:
        raise Problem(422, "invalid-request", "Write the note first.")
    if without_keys(text) != text:
        raise Problem(422, "invalid-request", "The note holds an API key, which is a secret: leave it out.")
    if len(text) > NOTE_LENGTH_MAX or "\x00" in text:
        raise Problem(422, "invalid-request", f"A note has at most {NOTE_LENGTH_MAX} characters of text.")


def _in_words(err: Problem) -> str:
    """A refusal for the page that shows how the incident stands."""
    if err.status == 412:
        return "The incident has moved on since you looked at it, and nothing was done. This is how it stands now."
    return err.detail[:1].upper() + err.detail[1:]
