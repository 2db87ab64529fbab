"""Errors as RFC 9457 problems (`application/problem+json`), for every service in the same form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.errors import Unavailable
from sentryml_common.http.answers import install_answers

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:sentryml:problem:"
RETRY_AFTER_SECONDS = 5
UNREADABLE_BODY = "There was an error parsing the body"
"""What the framework says, as 400, of a body that is not even text; to us it is as any other that does not fit."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457); further members depend on `type`, docs/api.md lists them."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="What is wrong, for programs.", examples=[f"{TYPE_PREFIX}unavailable"])
    title: str = Field(description="The status as text.", examples=["Service Unavailable"])
    status: int = Field(examples=[503])
    detail: str = Field(
        description="What is wrong and what to do, for people.", examples=["PostgreSQL does not answer: try again"]
    )


_TEXT, _SECONDS = {"type": "string"}, {"type": "integer", "minimum": 0}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": _TEXT}},
    412: {"ETag": {"description": "The current version.", "schema": _TEXT}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}},
}
"""Headers that problems of a status bring along."""


def problem_answers(*answers: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route or a router: for each status that it may answer with a problem, when it does.

    The application needs `install_openapi` for the schema that they refer to.
    """
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {
            "description": when,
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status, when in answers
    }


class Problem(Exception):
    """Raise to answer with a problem. `kind` is the last part of its type, `extra` are further members."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.extra = dict(headers or {}), extra

    def body(self) -> dict[str, Any]:
        """The problem as JSON."""
        return {
            "type": f"{TYPE_PREFIX}{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> Response:
        """The problem as it is sent. An API key that got into a path, a field name or a value is not echoed:
        senders log the answers they get."""
        body = without_keys(json.dumps(self.body(), default=str))
        return Response(body, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: str) -> Problem:
    """503 with `Retry-After`: a server that we need is unavailable, and nothing was accepted."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def invalid_request(*errors: tuple[str, str]) -> Problem:
    """422: fields of a request, and what is wrong with each."""
    detail = "; ".join(f"{field}: {reason}" for field, reason in errors[:3])
    shown = [{"field": field, "reason": reason} for field, reason in errors]
    return Problem(422, "invalid-request", detail, errors=shown)


def defect() -> Problem:
    """500: something that should not happen. What it was is in the log alone."""
    return Problem(500, "internal-server-error", "a defect in SentryML; the service's log has the details")


def install_problems(app: FastAPI) -> None:
    """Turn every error of `app` into a problem, and give all its answers what they have in common."""
    install_answers(app)

    @app.exception_handler(Problem)
    async def on_problem(_: Request, err: Problem) -> Response:
        return err.response()

    @app.exception_handler(Unavailable)
    async def on_unavailable(_: Request, err: Unavailable) -> Response:
        return unavailable(str(err)).response()

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, err: HTTPException) -> Response:
        if err.detail == UNREADABLE_BODY:
            return invalid_request(("body", "is not JSON in UTF-8")).response()
        kind, headers = HTTPStatus(err.status_code).phrase.lower().replace(" ", "-"), dict(err.headers or {})
        if err.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods_of(app, request))
        return Problem(err.status_code, kind, str(err.detail), headers=headers).response()

    @app.exception_handler(RequestValidationError)
    async def on_validation(_: Request, err: RequestValidationError) -> Response:
        errors = [(".".join(map(str, error["loc"])), error["msg"]) for error in err.errors()]
        return invalid_request(*errors).response()

    @app.exception_handler(Exception)
    async def on_defect(_: Request, err: Exception) -> Response:
        # The framework raises it again after the answer, so that it is logged; the answer contains nothing of it.
        return defect().response()


def _methods_of(app: FastAPI, request: Request) -> list[str]:
    """All methods that a path knows; the framework only reports those of the first route that has the path."""
    asked = {method: {**request.scope, "method": method} for method in METHODS}
    return [
        method for method, scope in asked.items() if any(route.matches(scope)[0] is Match.FULL for route in app.routes)
    ]
