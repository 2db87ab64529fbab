"""Pages out of templates, and what becomes of errors on the way: a person gets a page, whatever happens.

Everything in a page is escaped by the templates: names of models and categories come from strangers. What cannot be
seen in them, or turns the reading direction around, is written out.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.exceptions import HTTPException

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.errors import Unavailable
from sentryml_common.http.api_page import TEMPLATES
from sentryml_common.http.problems import RETRY_AFTER_SECONDS, Problem
from sentryml_common.text import duration, sentence, visible
from sentryml_incidents.api.refusals import problem_of
from sentryml_incidents.usecases.context import context_of
from sentryml_incidents.usecases.errors import Refused
from sentryml_incidents.web.assets import accepts_gzip, asset
from sentryml_incidents.web.forms import SAFE_METHODS, check_form, is_unencrypted
from sentryml_incidents.web.people.session import Elsewhere, Visitor
from sentryml_incidents.web.view.deliveries import latency
from sentryml_lifecycle.text.number_format import rate, share
from sentryml_lifecycle.text.psi_explanation import in_one_line
from sentryml_lifecycle.text.wording import ago, between, clock, moment, stamp

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
GZIP_LEVEL = 4
"""Beyond that, pages get hardly smaller and take longer."""
PAGES = (("/models", "Models"), ("/incidents", "Incidents"), ("/alerts", "Alerts"))
FOR_ADMINS = (("/keys", "API keys"), ("/users", "Users"))
FOR_ALL = (("/docs", "API"),)
UNIT = re.compile(r"(?<=\d) (?=(?:%|s|min|h|d)(?!\w))")
TITLES = {
    400: "Bad request",
    403: "Permission denied",
    404: "Not found",
    409: "Not possible",
    422: "Invalid input",
    429: "Too many attempts",
}


def _visible(value: object) -> object:
    """What templates put out, with invisible characters written out, wherever it comes from."""
    if isinstance(value, Markup):
        return Markup(visible(value))
    return visible(value) if isinstance(value, str) else value


_templates = Environment(
    loader=ChoiceLoader([PackageLoader("sentryml_incidents.web"), TEMPLATES]),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    finalize=_visible,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _unbroken(text: str) -> str:
    """Figures and their unit stay on one line."""
    return UNIT.sub("\u00a0", text)


def _span(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))


_templates.globals["asset"] = asset
_templates.filters.update(
    moment=moment, clock=clock, ago=ago, duration=duration, span=_span, percent=share, unbroken=_unbroken,
    in_one_line=in_one_line, stamp=stamp, rate=rate, between=between,
    latency=latency,
)  # fmt: skip


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Every template knows `root` (the way to the service's root), `path` (its own), the `pages` that lead on,
    `now`, `visitor`, who may be None, and whether it travels `unencrypted`; and for pages that are live, `since`, the
    moment they were made at, and `answers`, whether they answer a form."""
    context, visitor = context_of(request), getattr(request.state, "visitor", None)
    text = _templates.get_template(template).render(
        root=root_of(request),
        path=request.url.path,
        pages=_pages_for(visitor),
        now=context.now(),
        visitor=visitor,
        unencrypted=is_unencrypted(context.public_url, request.headers.get("host", "")),
        since=getattr(request.state, "since", ""),
        answers=request.method not in SAFE_METHODS,
        **values,
    )
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def _pages_for(visitor: Visitor | None) -> Sequence[tuple[str, str]]:
    """Where somebody can go: (path, words)."""
    if visitor is None:
        return FOR_ALL
    return (*PAGES, *(FOR_ADMINS if visitor.administers else ()), *FOR_ALL)


def message(request: Request, status: int, title: str, text: str) -> HTMLResponse:
    """A page that says one thing."""
    return render(request, "shared/message.html", status=status, title=title, text=text)


def go_to(request: Request, path: str) -> RedirectResponse:
    """The way to another page, by its path within the service; relative, since a proxy may have put us anywhere."""
    return RedirectResponse(root_of(request) + path, status_code=303, headers={"Cache-Control": "no-store"})


def root_of(request: Request) -> str:
    """The relative way from a page to the service's root."""
    return "/".join([".."] * (request.url.path.count("/") - 1)) or "."


class PageRoute(APIRoute):
    """A route of people: forms come from our own pages, what is raised becomes a page, or the way to one. Pages are
    compressed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with errors in words."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            answer = await answer_people(request)
            return _compressed(request, answer) if isinstance(answer, HTMLResponse) else answer

        async def answer_people(request: Request) -> Response:
            try:
                if request.method not in SAFE_METHODS:
                    await check_form(request, context_of(request).public_url)
                return await handle(request)
            except Elsewhere as way:
                return go_to(request, way.path)
            except Unavailable:
                return _unavailable(request)
            except (Refused, Problem) as err:
                return _refused(request, err)
            except RequestValidationError as err:
                wrong = "; ".join(f"{error['loc'][-1]}: {error['msg']}" for error in err.errors()[:3])
                return message(request, 422, TITLES[422], f"{wrong}.")
            except HTTPException as err:
                return message(request, err.status_code, TITLES.get(err.status_code, "Request failed"), err.detail)

        return handle_for_people


def _refused(request: Request, err: Refused | Problem) -> HTMLResponse:
    problem = problem_of(err, context_of(request).public_url) if isinstance(err, Refused) else err
    title = TITLES.get(problem.status, "Request failed")
    text = sentence(problem.detail) if isinstance(err, Refused) else problem.detail
    answer = message(request, problem.status, title, without_keys(text))
    answer.headers.update(problem.headers)
    return answer


def _compressed(request: Request, page: HTMLResponse) -> HTMLResponse:
    """The page in fewer bytes, for browsers that take them so. No secret is the same in page after page, so how long a
    page gets gives none away (ADR 19)."""
    page.headers["Vary"] = "Accept-Encoding"
    if not accepts_gzip(request):
        return page
    page.body = gzip.compress(page.body, GZIP_LEVEL, mtime=0)
    page.headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(page.body))})
    return page


def _unavailable(request: Request) -> HTMLResponse:
    answer = message(
        request,
        503,
        "The database does not answer",
        "Incidents cannot be shown at the moment. Nothing is lost: evaluations wait in Kafka, and are taken in as "
        "soon as PostgreSQL is back. Try again in a few seconds.",
    )
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
