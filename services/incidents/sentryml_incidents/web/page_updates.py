"""`GET /live`: notifies an open page that what it shows has changed, by server-sent events. For browsers with a
session; programs have `/v1/stream`.

Nothing of the page is in it: the page fetches itself again, as its reader may see it. What a browser's
EventSource cannot read off an answer, that nobody is signed in or that too many pages are open, comes as an event, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from sentryml_common.contracts.message import ModelId
from sentryml_common.errors import Unavailable
from sentryml_incidents.streaming.response import HEADERS, SubscriberResponse
from sentryml_incidents.streaming.subscribers import Page, Shown, Subject
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.web.people.session import find_visitor
from sentryml_incidents.web.rendering import PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HEARTBEAT_SECONDS = 15.0

Model = Annotated[ModelId | None, Query()]
Since = Annotated[str, Query(max_length=40)]


@router.get("/live")
async def follow(request: Request, context: WithContext, on: Shown, model: Model = None, since: Since = "") -> Response:
    """Follow what a page shows, from the moment `since` on, which the page was made at."""
    hub = context.hub
    if hub is None:
        raise Unavailable("pages are not live yet: the service is starting")
    visitor = await find_visitor(request, context, background=True)
    if visitor is None or visitor.user.initial_password_until is not None:
        return _only("signed-out")
    page = hub.follow_page(visitor.session.session_hash, Subject(on, model), since)
    return SubscriberResponse(hub, page, _frames(page)) if page is not None else _only("full")


async def _frames(page: Page) -> AsyncIterator[bytes]:
    """`live` at once; `changed`, a second apart at least; `still-here` while nothing happens."""
    yield _frame("live")
    while not page.ended:
        if await page.take(HEARTBEAT_SECONDS):
            yield _frame("changed")
            await page.pause()
        elif not page.ended:
            yield _frame("still-here")
    if page.revoked:
        yield _frame("signed-out")


def _only(event: str) -> Response:
    async def frames() -> AsyncIterator[bytes]:
        yield _frame(event)

    return EventSourceResponse(frames(), headers=HEADERS)


def _frame(event: str) -> bytes:
    return format_sse_event(event=event, data_str="-")  # without data, browsers would drop it
