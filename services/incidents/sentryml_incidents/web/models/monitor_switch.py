"""Switching a monitor off and on, on its page: the button is beside what happens then."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.transition import Actor
from sentryml_incidents.usecases.change_monitor import change_monitor
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import MonitorChangedMeanwhile
from sentryml_incidents.usecases.known_model import known_model
from sentryml_incidents.web.models.monitor import Done, Filled, VersionField, page
from sentryml_incidents.web.people.session import Responder
from sentryml_incidents.web.rendering import PageRoute, go_to
from sentryml_incidents.web.view.monitor_form import write

router = APIRouter(prefix="/models/{model_id}/monitor", include_in_schema=False, route_class=PageRoute)

SureField = Annotated[bool, Form()]

NOT_SURE = "Nothing was done: tick that you have read what happens, then switch it off."
MOVED_ON = (
    "Nothing was done: the monitor is at version {} by now. Its current state is shown; to change it, do it again."
)


@router.post("/disable")
async def disable(
    request: Request,
    context: WithContext,
    visitor: Responder,
    model_id: str,
    version: VersionField,
    sure: SureField = False,
) -> Response:
    """Switch the monitor off; `sure` says that somebody has read what happens then."""
    if not sure:
        filled = Filled(write(await _monitor(context, model_id)), refused=NOT_SURE)
        return await page(request, context, model_id, filled, status=422)
    return await _switch(request, context, visitor.actor, model_id, version, on=False)


@router.post("/enable")
async def enable(
    request: Request, context: WithContext, visitor: Responder, model_id: str, version: VersionField
) -> Response:
    """Switch the monitor on."""
    return await _switch(request, context, visitor.actor, model_id, version, on=True)


async def _switch(
    request: Request, context: Context, actor: Actor, model_id: str, version: int, *, on: bool
) -> Response:
    monitor = await _monitor(context, model_id)
    try:
        await change_monitor(context, actor, model_id, {"enabled": on, "version": version})
    except MonitorChangedMeanwhile:
        filled = Filled(write(monitor), refused=MOVED_ON.format(monitor.version))
        return await page(request, context, model_id, filled, status=409)
    return go_to(request, f"/models/{model_id}/monitor?done={Done.ON if on else Done.OFF}")


async def _monitor(context: Context, model_id: str) -> Monitor:
    async with context.transaction() as connection:
        return (await known_model(connection, model_id))[1]
