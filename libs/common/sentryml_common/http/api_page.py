"""The page at `/docs` that describes a service's API, from its OpenAPI. The framework's own loads its scripts from
another host, which a browser without a way out does not reach."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

TEMPLATES = PackageLoader("sentryml_common.http")
"""`_operations.html` is for pages of services that have their own, too."""
CODE = re.compile("`([^`]+)`")
STYLE = (
    "body { max-width: 46rem; margin: 0 auto; padding: 1rem; font: 1rem/1.55 system-ui, sans-serif; "
    "overflow-wrap: anywhere } h3, code { font-family: ui-monospace, monospace; font-size: .92em }"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
}

_templates = Environment(loader=TEMPLATES, autoescape=select_autoescape(), undefined=StrictUndefined, trim_blocks=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to ask for. Parameters are (name, where it is, what it means), answers (status, when)."""

    method: str
    path: str
    means: Markup
    parameters: tuple[tuple[str, str, Markup], ...]
    body: str | None
    answers: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a service says of itself: paragraphs, then operations by their subject."""

    introduction: tuple[Markup, ...]
    subjects: dict[str, list[Operation]]


def describe(app: FastAPI) -> Description:
    """The service's OpenAPI as one reads it."""
    schema = app.openapi()
    subjects = defaultdict(list)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            subjects[operation.get("tags", ["other"])[0]].append(_operation(path, method, operation))
    return Description(tuple(_text(part) for part in schema["info"]["description"].split("\n\n")), dict(subjects))


def install_api_page(app: FastAPI) -> None:
    """Answer `/docs`, for anybody: there is no secret in it. `app` has been made with `docs_url=None`."""

    async def show() -> HTMLResponse:
        page = _templates.get_template("api_page.html")
        return HTMLResponse(page.render(title=app.title, api=describe(app), style=Markup(STYLE)), headers=HEADERS)

    app.add_api_route("/docs", show, include_in_schema=False)


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
