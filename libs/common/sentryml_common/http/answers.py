"""Headers of every answer of every service, errors too; and no redirects."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/v1/"
NOT_GUESSED = {"X-Content-Type-Options": "nosniff"}
API_HEADERS = {**NOT_GUESSED, "Cache-Control": "no-store"}
"""Of all answers of the API that do not say otherwise."""


class _WithHeaders:
    """Puts headers on every answer that has none of its own: what it is called is what it is, and no cache on the way
    keeps what the API says to one key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (API_HEADERS if scope["path"].startswith(API) else NOT_GUESSED).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def install_answers(app: FastAPI) -> None:
    """Give `app` these headers. And switch off the framework's redirects: they would lead `/models/` to whatever
    host the request names."""
    app.router.redirect_slashes = False
    build = app.build_middleware_stack
    # Outside of all that the framework puts around an application: that also answers, if there is a defect.
    app.build_middleware_stack = lambda: _WithHeaders(build())  # type: ignore[method-assign]
