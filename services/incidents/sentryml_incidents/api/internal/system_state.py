"""`GET /v1/internal/system-state`: what stands still. The notifier asks for it, and sends system alerts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sentryml_common.contracts.internal.system_state import PATH, SystemState
from sentryml_common.contracts.message import encode
from sentryml_common.http.internal import InternalAccess
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.system_state import read_system_state


def system_state_routes(access: InternalAccess) -> APIRouter:
    """The one route, for other services alone."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    async def show(request: Request, context: WithContext) -> Response:
        await access(request)
        async with context.transaction() as connection:
            found = (await read_system_state(connection, context)).faults
        return Response(encode(SystemState(at=context.now(), found=found)), media_type="application/json")

    return router
