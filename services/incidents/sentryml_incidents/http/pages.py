"""The pages people read: the list of incidents, and one incident. Plain HTML, complete without JavaScript.

Everything in them is escaped by the templates: names of models and categories come from strangers.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.contracts.transition import State
from sentryml_common.errors import Unavailable
from sentryml_common.http.problems import RETRY_AFTER_SECONDS
from sentryml_common.text import duration
from sentryml_incidents.domain.words import ago, moment
from sentryml_incidents.http.acting import LARGEST_NUMBER, read_reference
from sentryml_incidents.http.context import WithContext
from sentryml_incidents.http.incident_page import read_incident_page
from sentryml_incidents.store.incidents import IncidentFilter, list_incidents

router = APIRouter(include_in_schema=False)

ROWS = 50
STATIC = Path(__file__).resolve().parent.parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=PackageLoader("sentryml_incidents"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(moment=moment, ago=ago, duration=duration)

PageState = Annotated[State | None, Query(alias="state")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)]


def install_pages(app: FastAPI) -> None:
    """Give the pages and their style sheet to `app`."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


@router.get("/")
async def start() -> RedirectResponse:
    """Incidents are what one comes for."""
    return RedirectResponse("incidents", status_code=302)


@router.get("/incidents")
async def show_list(context: WithContext, state: PageState = None, before: Before = None) -> Response:
    """Incidents, newest first."""
    now = context.now()
    try:
        async with context.transaction() as connection:
            wanted = IncidentFilter(states=(state,) if state else None)
            found = await list_incidents(connection, wanted, before, ROWS + 1)
    except Unavailable:
        return _unavailable(".", now)
    return _page(
        "incidents.html",
        ".",
        now,
        incidents=found[:ROWS],
        older=found[ROWS - 1].incident_number if len(found) > ROWS else None,
        state=state,
        states=list(State),
        first=before is None,
    )


@router.get("/incidents/{reference}")
async def show_incident(context: WithContext, reference: str) -> Response:
    """One incident: what, how bad, why, since when, what next, and everything that happened to it."""
    now, parsed = context.now(), read_reference(reference)
    try:
        async with context.transaction() as connection:
            page = await read_incident_page(connection, parsed, context.public_url, now) if parsed else None
    except Unavailable:
        return _unavailable("..", now)
    if page is None:
        return _message(
            "..", now, 404, "There is no such incident", f"No incident has the number {without_keys(reference)}."
        )
    return _page("incident.html", "..", now, page=page, incident=page.incident)


def _page(template: str, root: str, now: datetime, *, status: int = 200, **values: Any) -> HTMLResponse:
    text = _templates.get_template(template).render(root=root, now=now, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def _message(root: str, now: datetime, status: int, title: str, text: str) -> HTMLResponse:
    return _page("message.html", root, now, status=status, title=title, text=text)


def _unavailable(root: str, now: datetime) -> HTMLResponse:
    answer = _message(
        root,
        now,
        503,
        "The database does not answer",
        "Incidents cannot be shown at the moment. Nothing is lost: evaluations wait in Kafka, and are taken in as "
        "soon as PostgreSQL is back. Try again in a few seconds.",
    )
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
