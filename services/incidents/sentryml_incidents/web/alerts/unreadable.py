"""The page of records that could not be used: of which topic, why, from whom, and what to do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.unreadable_records import read_unreadable
from sentryml_incidents.web.people.session import Reader
from sentryml_incidents.web.rendering import PageRoute, render

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/alerts/unreadable")
async def show(request: Request, context: WithContext, visitor: Reader) -> Response:
    """The most frequent of late first. The notifier is not asked: this page is there without it."""
    async with context.transaction() as connection:
        unreadable = await read_unreadable(connection, context.now())
    return render(request, "alerts/unreadable.html", unreadable=unreadable)
