"""Forms for routes: making, changing and removing one. What the notifier refuses comes back with what was entered."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from sentryml_common.contracts.internal.notifier_api import RouteResponse
from sentryml_common.contracts.transition import Severity
from sentryml_common.http.problems import Problem
from sentryml_common.http.versions import etag
from sentryml_incidents.web.alerts.notifier import AlertsRoute, NotifierClient, WithNotifier, in_words
from sentryml_incidents.web.alerts.route_form import CHOICE, NEW, RouteForm, in_units
from sentryml_incidents.web.people.session import Administrator, Reader
from sentryml_incidents.web.rendering import go_to, render
from sentryml_incidents.web.view.channel_forms import harmless, harmless_lines, harmless_words
from sentryml_lifecycle.text.step_text import STEPS

ROUTES = "/alerts/routes"

router = APIRouter(prefix=ROUTES, include_in_schema=False, route_class=AlertsRoute)

SeenField = Annotated[int, Form(ge=1, le=10**9)]


Entered = Annotated[RouteForm, Depends()]


@router.get("/new")
async def show_new(request: Request, visitor: Administrator, notifier: WithNotifier) -> Response:
    """The form for another route. The first one takes system alerts."""
    routes = await notifier.routes()
    return await _page(request, notifier, replace(NEW, system=not any(each.system for each in routes)))


@router.post("/make")
async def make(request: Request, visitor: Administrator, notifier: WithNotifier, entered: Entered) -> Response:
    """Add route; it takes what happens from now on."""
    try:
        await notifier.ask("POST", "/v1/routes", entered.requested())
    except Problem as err:
        return await _page(request, notifier, entered, err=err)
    return go_to(request, "/alerts")


@router.get("/{route_id}")
async def show(request: Request, visitor: Reader, notifier: WithNotifier, route_id: UUID) -> Response:
    """One route; for admins, the form that changes it."""
    route = await notifier.route(route_id)
    return await _page(request, notifier, _form_of(route), route=route)


@router.post("/{route_id}/change")
async def change(
    request: Request, visitor: Administrator, notifier: WithNotifier, route_id: UUID, seen: SeenField, entered: Entered
) -> Response:
    """Change a route, unless it is another by now than the version that was `seen`."""
    try:
        await notifier.ask("PUT", f"/v1/routes/{route_id}", entered.requested(), if_match=etag(seen))
    except Problem as err:
        return await _page(request, notifier, entered, err=err, route=await notifier.route(route_id), seen=seen)
    return go_to(request, "/alerts")


@router.post("/{route_id}/remove")
async def remove(
    request: Request, visitor: Administrator, notifier: WithNotifier, route_id: UUID, seen: SeenField
) -> Response:
    """Remove a route. What it has taken is delivered all the same."""
    try:
        await notifier.ask("DELETE", f"/v1/routes/{route_id}", if_match=etag(seen))
    except Problem as err:
        route = await notifier.route(route_id)
        return await _page(request, notifier, _form_of(route), err=err, route=route)
    return go_to(request, "/alerts")


async def _page(
    request: Request,
    notifier: NotifierClient,
    form: RouteForm,
    *,
    err: Problem | None = None,
    route: RouteResponse | None = None,
    seen: int | None = None,
) -> Response:
    return render(
        request,
        "alerts/route.html",
        status=err.status if err else 200,
        route=route,
        form=_harmless(form) if err else form,
        unchanged=form.unchanged(),
        seen=seen or (route.version if route else None),
        channels=await notifier.channels(),
        severities=list(Severity),
        kinds={kind.value: STEPS[kind] for kind in CHOICE},
        refused_because=in_words(err) if err else (),
    )


def _harmless(form: RouteForm) -> RouteForm:
    """What may be shown again of what was entered: no secret that got into the wrong field."""
    return replace(
        form,
        name=harmless(form.name),
        models=harmless_words(form.models),
        time_zone=harmless(form.time_zone),
        hold_hours=harmless_lines(form.hold_hours),
        hold_windows=harmless_lines(form.hold_windows),
        slack_group_warn=harmless(form.slack_group_warn),
        slack_group_critical=harmless(form.slack_group_critical),
        weekly_summary=harmless(form.weekly_summary),
    )


def _form_of(route: RouteResponse) -> RouteForm:
    return RouteForm(
        route.name,
        str(route.channel_id),
        " ".join(route.model_patterns),
        route.least_severity,
        route.kinds,
        route.enabled,
        in_units(route.remind_after_seconds, 60),
        str(route.remind_times),
        route.system,
        in_units(route.remind_acknowledged_after_seconds, 3600),
        route.time_zone,
        "\n".join(route.hold_hours),
        "\n".join(route.hold_windows),
        route.hold_critical,
        route.slack_group_warn or "",
        route.slack_group_critical or "",
        route.weekly_summary or "",
    )
