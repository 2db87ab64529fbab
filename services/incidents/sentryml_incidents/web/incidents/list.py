"""The list of incidents: filtered, sorted, paged, and many acted on at once. Complete without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BeforeValidator, Field, TypeAdapter

from sentryml_common.contracts.transition import Severity
from sentryml_common.group_text import in_common, what_they_are
from sentryml_common.http.paging import from_cursor, to_cursor
from sentryml_common.http.problems import Problem
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.listing import Listing, Order, Standing, Within, chips, in_words, query_of
from sentryml_incidents.store.deliveries import count_undeliverable
from sentryml_incidents.store.incident_lists import (
    MOST_COUNTED,
    IncidentRow,
    Place,
    count_incidents,
    place_of,
    read_incident_list,
    read_rows,
)
from sentryml_incidents.store.incidents import count_live
from sentryml_incidents.usecases.act_on_incident import LARGEST_NUMBER
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.texts import NOTE_LENGTH_MAX
from sentryml_incidents.web.incidents.bulk_form import Acted, act_on_all
from sentryml_incidents.web.people.session import Reader, Responder
from sentryml_incidents.web.rendering import PageRoute, render
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Incident

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ROWS, GROUP_ROWS = 50, 500
"""How many incidents a page shows; of an alert group all, so that they can be acknowledged at once."""

Number = Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
PLACES: dict[Order, TypeAdapter[Any]] = {
    Order.NEWEST: TypeAdapter(tuple[Number]),
    Order.OLDEST: TypeAdapter(tuple[Number]),
    Order.PEAK: TypeAdapter(tuple[float, Number]),
    Order.MODEL: TypeAdapter(tuple[Annotated[str, Field(max_length=128, pattern=r"^[^\x00]*$")], Number]),
}

NotBlank = BeforeValidator(lambda value: value or None)
"""A form sends a field that was left empty as an empty text."""

Cursor = Annotated[str | None, Query(max_length=500)]


class Do(StrEnum):
    """What the buttons say: an action on the ticked incidents, or on all open ones of the page."""

    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_SHOWN = "acknowledge-shown"
    UNACKNOWLEDGE = "unacknowledge"
    CLOSE = "close"

    @property
    def action(self) -> Action:
        """The action on each."""
        return Action.ACKNOWLEDGE if self is Do.ACKNOWLEDGE_SHOWN else Action(self.value)


def asked_for(
    state: Annotated[Standing | None, NotBlank, Query()] = None,
    severity: Annotated[Severity | None, NotBlank, Query()] = None,
    model: Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")] = "",
    within: Annotated[Within | None, NotBlank, Query()] = None,
    since: Annotated[date | None, NotBlank, Query(alias="from")] = None,
    until: Annotated[date | None, NotBlank, Query(alias="to")] = None,
    undeliverable: bool = False,
    order: Order = Order.NEWEST,
    group: Annotated[UUID | None, NotBlank, Query()] = None,
) -> Listing:
    """What the address of a list asks for."""
    return Listing(state, severity, model.strip(), within, since, until, undeliverable, order, group)


Asked = Annotated[Listing, Depends(asked_for)]


@dataclass(frozen=True, slots=True)
class Tab:
    """A way to another standing: its words, the query, how many there are where that is known."""

    text: str
    query: str
    count: int | None
    current: bool


@dataclass(frozen=True, slots=True)
class ListPage:
    """Everything on the page. `previous` and `next` are the queries of the pages before and after this one; `live` says
    how many incidents are not over, whatever was asked for."""

    requested: Listing
    rows: list[IncidentRow]
    count: int
    text: str
    previous: str | None
    next: str | None
    any_at_all: bool
    live: dict[Standing, int]

    @property
    def tabs(self) -> list[Tab]:
        """All, and each standing, with the other filters kept; counted where there are no others."""
        counts = {} if replace(self.requested, standing=None).filters else self.live
        first = Tab("all", query_of(replace(self.requested, standing=None)), None, self.requested.standing is None)
        return [first] + [
            Tab(
                each,
                query_of(replace(self.requested, standing=each)),
                counts.get(each),
                each is self.requested.standing,
            )
            for each in Standing
        ]

    @property
    def group(self) -> str | None:
        """What the incidents of a group are and have in common, as messages say it; None unless all are shown."""
        if not self.requested.group or not self.rows or self.previous or self.next:
            return None
        live = [row.alert for row in self.rows if row.incident.live]
        silent = sum(alert.silent for alert in live)
        text = what_they_are(len(live) - silent, silent, len(self.rows) - len(live))
        return ". In common: ".join([text, *(["; ".join(shared)] if (shared := in_common(live)) else [])])

    @property
    def open_rows(self) -> list[IncidentRow]:
        """Those that nobody has acknowledged."""
        return [row for row in self.rows if row.incident.state == "open"]


@router.get("/incidents")
async def show(
    request: Request,
    context: WithContext,
    visitor: Reader,
    requested: Asked,
    after: Cursor = None,
    before: Cursor = None,
) -> Response:
    """Incidents as the address asks for them: from after the row `after` on, or those that end before `before`."""
    return await _list(request, context, requested, after, before)


@router.get("/incidents/bulk")
async def show_after_bulk(visitor: Reader) -> RedirectResponse:
    """The address that answers the form below, asked for alone."""
    return RedirectResponse("../incidents", status_code=302)


@router.post("/incidents/bulk")
async def act_on_many(
    request: Request,
    context: WithContext,
    visitor: Responder,
    requested: Asked,
    do: Annotated[Do, Form()],
    picked: Annotated[list[str] | None, Form(max_length=ROWS)] = None,
    shown: Annotated[list[str] | None, Form(max_length=ROWS)] = None,
    note: Annotated[str, Form(max_length=2 * NOTE_LENGTH_MAX)] = "",
    after: Cursor = None,
    before: Cursor = None,
) -> Response:
    """One action on the ticked incidents, or on all open ones of the page; each only as it was seen. The list says what
    came of it."""
    chosen = (shown if do is Do.ACKNOWLEDGE_SHOWN else picked) or []
    try:
        acted = await act_on_all(context, visitor.actor, do.action, chosen, note)
    except Problem as err:
        seen = frozenset(each.partition(" ")[0] for each in chosen)
        answer = Acted(refused=err.detail, ticked=seen, note=note)
        return await _list(request, context, requested, after, before, answer, err.status)
    return await _list(request, context, requested, after, before, acted)


async def _list(
    request: Request,
    context: Context,
    requested: Listing,
    after: str | None,
    before: str | None,
    acted: Acted | None = None,
    status: int = 200,
) -> Response:
    async with context.transaction() as connection:
        page = await _read(connection, requested, context.now(), after, before)
        undeliverable_messages, of_incidents = await count_undeliverable(connection)
    here = {name: value for name, value in (("after", after), ("before", before)) if value}
    return render(
        request,
        "incidents/list.html",
        status=status,
        page=page,
        requested=requested,
        chips=chips(requested),
        here=query_of(requested, **here),
        severities=list(Severity),
        spans=list(Within),
        orders=list(Order),
        undeliverable_messages=undeliverable_messages,
        of_incidents=of_incidents,
        acted=acted or Acted(),
        note_length_max=NOTE_LENGTH_MAX,
    )


async def _read(
    connection: Connection, requested: Listing, now: datetime, after: str | None, before: str | None
) -> ListPage:
    found, previous, following = await _page(connection, requested, now, after, before)
    count = await count_incidents(connection, requested, now)
    return ListPage(
        requested=requested,
        rows=await read_rows(connection, found),
        count=count,
        text=in_words(requested, count, MOST_COUNTED),
        previous=query_of(requested, before=_cursor(found[0], requested)) if previous and found else None,
        next=query_of(requested, after=_cursor(found[-1], requested)) if following and found else None,
        any_at_all=count > 0 or await count_incidents(connection, Listing(), now) > 0,
        live=_live(await count_live(connection)),
    )


def _live(counts: dict[tuple[str, str], int]) -> dict[Standing, int]:
    states = {each: sum(n for (state, _), n in counts.items() if state == each) for each in ("open", "acknowledged")}
    return {Standing.LIVE: sum(states.values()), **{Standing(state): count for state, count in states.items()}}


async def _page(
    connection: Connection, requested: Listing, now: datetime, after: str | None, before: str | None
) -> tuple[Sequence[Incident], bool, bool]:
    """(a page, whether there is one before it, whether there is one after it)."""
    rows = GROUP_ROWS if requested.group else ROWS
    if before is not None:
        found = await read_incident_list(
            connection, requested, now, _place(before, requested), rows + 1, backwards=True
        )
        if len(found) > rows:
            return found[1:], True, True
        after = None  # so few are before it that this is the first page: it is shown whole
    place = _place(after, requested)
    found = await read_incident_list(connection, requested, now, place, rows + 1)
    return found[:rows], place is not None, len(found) > rows


def _cursor(incident: Incident, requested: Listing) -> str:
    return to_cursor(place_of(incident, requested.order))


def _place(cursor: str | None, requested: Listing) -> Place | None:
    """The place that a cursor names, of which there may be none.

    Raises:
        Problem: 422, it is of another order, or not one of ours.
    """
    found = from_cursor(cursor, PLACES[requested.order])
    return list(found) if found is not None else None
