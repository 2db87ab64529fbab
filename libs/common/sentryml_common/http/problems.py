"""Errors as RFC 9457 problems (`application/problem+json`), for every service in the same form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.errors import Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457); further members depend on `type`."""

    type: str
    title: str
    status: int
    detail: str


def problem_answers(*answers: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: for each status that it may answer with a problem, when it does."""
    return {
        status: {"model": ProblemDetails, "description": when, "content": {MEDIA_TYPE: {}}} for status, when in answers
    }


class Problem(Exception):
    """Raise to answer with a problem. `kind` is the last part of its type, `extra` are further members."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.extra = dict(headers or {}), extra

    def response(self) -> Response:
        """The problem as it is sent. An API key that got into a path, a field name or a value is not told back:
        senders log the answers they get."""
        body = {
            "type": f"urn:sentryml:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        told = without_keys(json.dumps(body, default=str))
        return Response(told, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: str) -> Problem:
    """503 with `Retry-After`: a server behind us is away, and nothing was taken."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def install_problems(app: FastAPI) -> None:
    """Turn every error of `app` into a problem."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, err: Problem) -> Response:
        return err.response()

    @app.exception_handler(Unavailable)
    async def on_unavailable(_: Request, err: Unavailable) -> Response:
        return unavailable(str(err)).response()

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, err: HTTPException) -> Response:
        kind = HTTPStatus(err.status_code).phrase.lower().replace(" ", "-")
        return Problem(err.status_code, kind, str(err.detail), headers=err.headers).response()

    @app.exception_handler(RequestValidationError)
    async def on_validation(_: Request, err: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(str(part) for part in error["loc"]), "reason": error["msg"]} for error in err.errors()
        ]
        detail = "; ".join(f"{e['field']}: {e['reason']}" for e in errors[:3])
        return Problem(422, "invalid-request", detail, errors=errors).response()

    @app.exception_handler(Exception)
    async def on_defect(_: Request, err: Exception) -> Response:
        # The framework raises it again after the answer, so that it is logged; nothing of it is told.
        return Problem(
            500, "internal-server-error", "a defect in SentryML; the service's log has the details"
        ).response()
