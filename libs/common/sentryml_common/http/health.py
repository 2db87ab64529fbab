"""`/livez`, `/readyz`, `/metrics`: the same in every service.

Live means that the process answers; ready means that it waits for nothing it needs. `/readyz` says what it waits for.
"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from sentryml_common.health import Health
from sentryml_common.metrics import exposed_metrics


def health_routes(health: Health) -> APIRouter:
    """The three routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        waiting = health.waiting_for
        content = {"ready": not waiting, "waiting_for": waiting, **health.all_details}
        return JSONResponse(content, status_code=503 if waiting else 200)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(exposed_metrics(), media_type=CONTENT_TYPE_LATEST)

    return router
