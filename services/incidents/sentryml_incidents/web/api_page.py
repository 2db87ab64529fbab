"""The page that describes the API, with the way to the other pages."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sentryml_common.http.api_page import describe
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.web.people.session import find_visitor
from sentryml_incidents.web.rendering import PageRoute, render

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/docs")
async def show(request: Request, context: WithContext) -> Response:
    """All operations by their subject, for anybody: there is no secret in them."""
    request.state.visitor = await find_visitor(request, context)
    return render(request, "shared/api.html", api=describe(request.app))
