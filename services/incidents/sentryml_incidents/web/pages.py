"""The page of one incident with what can be done to it, and all pages under one roof. Complete without JavaScript."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, FastAPI, Form, Request, Response
from fastapi.responses import RedirectResponse

from sentryml_common.http.problems import Problem
from sentryml_common.text import sentence
from sentryml_incidents.api.refusals import problem_of
from sentryml_incidents.usecases.act_on_incident import act, everything, known_incident
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import IncidentMovedOn, Refused, UnknownIncident
from sentryml_incidents.usecases.texts import NOTE_LENGTH_MAX
from sentryml_incidents.web import api_page, assets, page_updates
from sentryml_incidents.web.alerts import channels as alert_channels
from sentryml_incidents.web.alerts import deliveries as alert_deliveries
from sentryml_incidents.web.alerts import overview as alerts
from sentryml_incidents.web.alerts import routes as alert_routes
from sentryml_incidents.web.alerts import unreadable as alert_unreadable
from sentryml_incidents.web.assets import read_assets
from sentryml_incidents.web.incidents import list as incident_list
from sentryml_incidents.web.incidents.detail import read_incident_page
from sentryml_incidents.web.incidents.notes import read_note
from sentryml_incidents.web.models import checklist, detail, markers, monitor_switch, overview
from sentryml_incidents.web.models import delete as delete_page
from sentryml_incidents.web.models import monitor as monitor_page
from sentryml_incidents.web.people import account, api_keys, sign_in, users
from sentryml_incidents.web.people.session import Reader, Responder, Visitor
from sentryml_incidents.web.rendering import PageRoute, go_to, render
from sentryml_incidents.web.view.available_actions import available_actions
from sentryml_lifecycle.events.on_action import Action

router = APIRouter(include_in_schema=False, route_class=PageRoute)


NoteField = Annotated[str, Form(max_length=2 * NOTE_LENGTH_MAX)]
SeenField = Annotated[str, Form(pattern=r'^"v\d{1,10}"$')]


def install_pages(app: FastAPI) -> None:
    """Give the pages, and what they load, to `app`.

    Raises:
        ConfigurationError: something that they load was not installed.
    """
    # The list comes before the page of one incident, whose address would take in all that begin alike.
    for part in (incident_list.router, router, overview.router, detail.router, sign_in.router, account.router,
                 api_keys.router, users.router):  # fmt: skip
        app.include_router(part)
    for page in (checklist, alerts, alert_deliveries, alert_routes, alert_channels, alert_unreadable, monitor_page,
                 monitor_switch, markers, delete_page):  # fmt: skip
        app.include_router(page.router)
    read_assets()
    for part in (assets.router, page_updates.router, api_page.router):
        app.include_router(part)


@router.get("/")
async def start() -> RedirectResponse:
    """The overview says what is wrong first."""
    return RedirectResponse("models", status_code=302)


@router.get("/incidents/{reference}")
async def show_incident(
    request: Request, context: WithContext, visitor: Reader, reference: str, evaluation: UUID | None = None
) -> Response:
    """One incident: what, how bad, why, since when, what next, and everything that happened to it. `evaluation` is one
    of those that are kept for it."""
    return await _incident(request, context, visitor, reference, evaluation=evaluation)


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
    try:
        await act(context, visitor.actor, everything, reference, action, read_note(action, note), seen)
    except UnknownIncident:
        raise
    except Refused as err:
        status = problem_of(err, context.public_url).status
        return await _incident(request, context, visitor, reference, status, _in_words(err), note)
    except Problem as err:
        return await _incident(request, context, visitor, reference, err.status, err.detail, note)
    return go_to(request, f"/incidents/{reference}")


async def _incident(
    request: Request,
    context: Context,
    visitor: Visitor,
    reference: str,
    status: int = 200,
    refused: str | None = None,
    note: str = "",
    evaluation: UUID | None = None,
) -> Response:
    """The page of an incident; with what was refused, and the note that would have come with it."""
    async with context.transaction() as connection:
        known = await known_incident(connection, everything, reference)
        page = await read_incident_page(connection, known.incident_id, context.public_url, context.now(), evaluation)
    if page is None:
        raise Problem(404, "unknown-evaluation", "This incident keeps no such evaluation.")
    return render(
        request,
        "incidents/detail.html",
        status=status,
        page=page,
        incident=page.incident,
        available_actions=available_actions(page.incident, visitor.actor),
        refused=refused,
        note=note,
        note_length_max=NOTE_LENGTH_MAX,
    )


def _in_words(err: Refused) -> str:
    """A refusal for the page that shows the incident's current state."""
    if isinstance(err, IncidentMovedOn):
        return "The incident has changed since you opened it, and nothing was done. This is its current state."
    return sentence(str(err))
