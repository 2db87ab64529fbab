"""`/livez`, `/readyz`, `/metrics`: the same in every service.

Live means that the process answers; ready means that it waits for nothing it needs. `/readyz` says what it waits for.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from sentryml_common.metrics import exposed_metrics


class Health:
    """What the service is waiting for, by name. Starts out waiting for `start`.

    Also details: faults that do not make the service unready.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {"start": "starting"}
        self._details: dict[str, dict[str, str]] = {}
        self._ready = asyncio.Event()

    def waiting(self, what: str, why: str) -> None:
        """Not ready: `what` is missing, `why` says what exactly is waited for."""
        self._waiting[what] = why
        self._ready.clear()

    def ready(self, what: str) -> None:
        """`what` is no longer waited for."""
        self._waiting.pop(what, None)
        if not self._waiting:
            self._ready.set()

    async def until_ready(self) -> None:
        """Wait until nothing is waited for."""
        await self._ready.wait()

    def details(self, what: str, texts: dict[str, str]) -> None:
        """Set the details about `what`, by name; none if empty."""
        self._details.pop(what, None)
        if texts:
            self._details[what] = texts

    @property
    def all_details(self) -> dict[str, dict[str, str]]:
        """All details; they make nothing unready."""
        return dict(self._details)

    @property
    def waiting_for(self) -> dict[str, str]:
        """Everything that is being waited for now; empty means ready."""
        return dict(self._waiting)


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
