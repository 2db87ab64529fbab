"""The stand-in's Web API over HTTP, and what makes it fail.

POST   /api/{method}             a method of Slack's Web API
GET    /control/api/messages     the messages of the workspace as they are now
GET    /control/api/calls        every call with its answer
POST   /control/api/script       answers to give next, to one method or to any     DELETE drops the rest
PUT    /control/api/rate         a rate limit on one method                        DELETE lifts all
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from sentryml_common.clock import Clock
from sentryml_common.logging import get_logger
from sentryml_local.slack_stand_in.connection_faults import play
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.store import RateLimit, Script, Tokens
from sentryml_local.slack_stand_in.workspace import Body, Workspace

log = get_logger(__name__)


class ApiScript(Script):
    """An answer to a call of `method`, or of any; with `accept`, the call is made all the same."""

    method: str | None = None
    accept: bool | None = False


class ApiScripts(BaseModel):
    """Body of `POST /control/api/script`."""

    answers: list[ApiScript]


class ApiRate(RateLimit):
    """A limit on one method."""

    method: str


class Call(BaseModel):
    """One call: what was asked, and what was answered; None if the connection was broken off."""

    method: str
    arguments: dict[str, Any]
    answer: dict[str, Any] | None


class WebApi:
    """The Web API of one workspace."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.workspace, self._clock = workspace, clock
        self.calls: list[Call] = []
        self._script: deque[ApiScript] = deque()
        self._rates: dict[str, Tokens] = {}

    def play(self, *answers: ApiScript) -> None:
        """Answer the next calls so."""
        for answer in answers:
            self._script.extend([answer] * answer.times)

    def stop_playing(self) -> None:
        """Drop what is left of the script."""
        self._script.clear()

    def limit(self, method: str, rate: RateLimit | None) -> None:
        """Put a rate limit on a method in force, with its burst full; None takes it away."""
        self._rates.pop(method, None)
        if rate is not None:
            self._rates[method] = Tokens(rate, self._clock().timestamp())

    def lift(self) -> None:
        """Lift all rate limits."""
        self._rates.clear()

    async def receive(self, method: str, request: Request) -> Response:
        """Answer one call."""
        arguments = _arguments(request.headers.get("Content-Type", ""), await request.body())
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        script = next((each for each in self._script if each.method in (None, method)), None)
        if script is not None:
            self._script.remove(script)
            if script.accept:
                self._call(method, arguments, token)
            self.calls.append(Call(method=method, arguments=arguments, answer=None))
            return await play(script, request)
        rate = self._rates.get(method)
        if rate is not None and not rate.take(self._clock().timestamp()):
            answer: Body = {"ok": False, "error": "ratelimited"}
            self.calls.append(Call(method=method, arguments=arguments, answer=answer))
            return JSONResponse(answer, 429, {"Retry-After": str(rate.rate.retry_after_seconds)})
        answer = self._call(method, arguments, token)
        self.calls.append(Call(method=method, arguments=arguments, answer=answer))
        return JSONResponse(answer)

    def _call(self, method: str, arguments: Mapping[str, Any], token: str | None) -> Body:
        answer = self.workspace.call(method, arguments, token, self._clock())
        log.info("web_api_called", method=method, ok=answer["ok"], error=answer.get("error"))
        if answer["ok"] and method in ("chat.postMessage", "chat.update"):
            where = "in a thread" if arguments.get("thread_ts") else "edited" if "ts" in arguments else "new"
            print(f"── Slack, {arguments['channel']}, {where} ".ljust(100, "─"))
            print(f"{as_text(arguments)}\n", flush=True)
        return answer


def _arguments(content_type: str, body: bytes) -> dict[str, Any]:
    if not content_type.startswith("application/json"):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        arguments = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def add_web_api(app: FastAPI, api: WebApi) -> None:
    """Put the Web API and its controls on the stand-in."""

    @app.post("/api/{method}")
    async def call(method: str, request: Request) -> Response:
        return await api.receive(method, request)

    @app.get("/control/api/messages")
    async def messages() -> list[dict[str, Any]]:
        shown = [(each, each.shown(with_metadata=True)) for each in api.workspace.messages]
        return [{"channel": each.channel, "only_for": each.only_for, **body} for each, body in shown]

    @app.get("/control/api/calls")
    async def calls() -> list[Call]:
        return api.calls

    @app.post("/control/api/script", status_code=204)
    async def play_next(scripts: ApiScripts) -> None:
        api.play(*scripts.answers)

    @app.delete("/control/api/script", status_code=204)
    async def stop_playing() -> None:
        api.stop_playing()

    @app.put("/control/api/rate", status_code=204)
    async def limit(rate: ApiRate) -> None:
        api.limit(rate.method, rate)

    @app.delete("/control/api/rate", status_code=204)
    async def lift() -> None:
        api.lift()
