"""The page that describes the API, from OpenAPI. The framework's own would load its scripts from another host."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup, escape

from sentryml_incidents.http.context import WithContext
from sentryml_incidents.http.rendering import PageRoute, render
from sentryml_incidents.http.session import find_visitor

router = APIRouter(include_in_schema=False, route_class=PageRoute)

CODE = re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to ask for. Parameters are (name, where it stands, what it means), answers (status, when)."""

    method: str
    path: str
    means: Markup
    parameters: tuple[tuple[str, str, Markup], ...]
    body: str | None
    answers: tuple[tuple[str, Markup], ...]


@router.get("/docs")
async def show(request: Request, context: WithContext) -> Response:
    """All operations by their subject, for anybody: there is no secret in them."""
    request.state.visitor = await find_visitor(request, context)
    schema = request.app.openapi()
    introduction = [_text(part) for part in schema["info"]["description"].split("\n\n")]
    return render(request, "api.html", introduction=introduction, subjects=_subjects(schema))


def _subjects(schema: dict[str, Any]) -> dict[str, list[Operation]]:
    found = defaultdict(list)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            found[operation.get("tags", ["other"])[0]].append(_operation(path, method, operation))
    return found


def _operation(path: str, method: str, operation: dict[str, Any]) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        means=_text(operation.get("description", operation["summary"])),
        parameters=tuple(
            (each["name"], each["in"], _text(each.get("description", ""))) for each in operation.get("parameters", ())
        ),
        body=_body(operation.get("requestBody")),
        answers=tuple((status, _text(each["description"])) for status, each in operation["responses"].items()),
    )


def _body(body: dict[str, Any] | None) -> str | None:
    """The name of what is sent, as `components/schemas` has it; None if nothing is."""
    if body is None:
        return None
    schema = next(iter(body["content"].values()))["schema"]
    return str(schema.get("$ref", schema.get("title", "JSON"))).rpartition("/")[2]


def _text(description: str) -> Markup:
    """What docstrings say, with code as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(description))))
