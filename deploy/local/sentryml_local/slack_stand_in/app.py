"""The stand-in's HTTP: Slack's webhook and Web API, a page that shows the messages, and a small API to make it fail.

POST   /services/{team}/{bot}/{token}   the webhook
GET    /                                what was posted, as Slack would show it
GET    /control/messages                what was posted          DELETE forgets it
GET    /control/requests                every request, refused ones too, with the answer given
POST   /control/script                  answers to give next     DELETE drops the rest
PUT    /control/rate                    a rate limit             DELETE lifts it
/api/… and /control/api/…               the Web API: see web_api
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel, Field

from sentryml_common.clock import Clock, system_clock
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.service import Service, run
from sentryml_common.settings import ServiceSettings, load_settings_or_exit
from sentryml_local.slack_stand_in import store as kept
from sentryml_local.slack_stand_in.connection_faults import play
from sentryml_local.slack_stand_in.page import as_text, render_page
from sentryml_local.slack_stand_in.protocol import Answer, Json, address_problem, answer_to, read_payload
from sentryml_local.slack_stand_in.store import Ending, RateLimit, Script, Store
from sentryml_local.slack_stand_in.web_api import WebApi, add_web_api
from sentryml_local.slack_stand_in.workspace import Workspace

log = get_logger(__name__)


class StandInSettings(ServiceSettings):
    """Settings of the stand-in for Slack."""

    stand_in_file: Path | None = Field(None, description="JSONL file in which the stand-in for Slack keeps messages.")
    stand_in_token: str = Field("stand-in", description="Token that the stand-in for Slack expects in its URL.")


class Answers(BaseModel):
    """Body of `POST /control/script`."""

    answers: list[Script]


class Webhook:
    """The webhook: decides the answer, keeps the request, then answers as decided."""

    def __init__(self, store: Store, token: str, clock: Clock) -> None:
        self._store, self._token, self._clock = store, token, clock

    async def receive(self, request: Request, team: str, bot: str, token: str) -> Response:
        """Answer one POST."""
        payload = read_payload(await request.body())
        script = self._store.next_scripted()
        if script is None:
            answer, problem = self._answer(payload, team, bot, token)
            self._keep(f"{team}/{bot}", payload, answer, problem)
            return _response(answer)
        return await self._play(script, request, f"{team}/{bot}", payload)

    def _answer(self, payload: Json | None, team: str, bot: str, token: str) -> tuple[Answer, str]:
        wrong = address_problem(team, bot, token, self._token)
        if wrong is not None:
            return wrong, "the address is wrong"
        limit = self._store.over_rate(self._clock().timestamp())
        if limit is not None:
            return Answer(429, "rate_limited", {"Retry-After": str(limit.retry_after_seconds)}), "over the rate limit"
        return answer_to(payload)

    async def _play(self, script: Script, request: Request, hook: str, payload: Json | None) -> Response:
        self._keep(hook, payload, Answer(script.status, script.body, script.headers), "", script)
        return await play(script, request)

    def _keep(
        self, hook: str, payload: Json | None, answer: Answer, problem: str, script: Script | None = None
    ) -> None:
        accepted = script.accepts if script else answer.status == 200
        answered = script is None or script.ending is Ending.ANSWER
        request = kept.Request(
            number=len(self._store.requests) + 1,
            at=self._clock(),
            hook=hook,
            accepted=accepted and payload is not None,
            status=answer.status if answered else None,
            answer=answer.body if script is None or answered else script.ending.value,
            problem=problem,
            payload=dict(payload) if payload is not None else None,
        )
        self._store.keep(request)
        log.info("message_posted" if accepted else "message_refused", answer=request.answer, problem=problem)
        if request.accepted:
            _show(request)


def _show(request: kept.Request) -> None:
    """Print a message on the terminal."""
    heading = f"── Slack, message {request.number}, {request.at:%H:%M:%S} UTC "
    print(f"{heading:─<100}\n{as_text(request.payload or {})}\n", flush=True)


def _response(answer: Answer) -> Response:
    return PlainTextResponse(answer.body, answer.status, dict(answer.headers))


def make_http(store: Store, token: str, clock: Clock, web_api: WebApi | None = None) -> FastAPI:
    """The HTTP application on a store and a workspace."""
    app = FastAPI(title="Stand-in for Slack", docs_url=None, redoc_url=None, redirect_slashes=False)
    webhook = Webhook(store, token, clock)
    web_api = web_api or WebApi(Workspace(), clock)
    add_web_api(app, web_api)

    @app.post("/services/{team}/{bot}/{token}")
    async def post(request: Request, team: str, bot: str, token: str) -> Response:
        return await webhook.receive(request, team, bot, token)

    @app.post("/services/{rest:path}")
    async def post_elsewhere(rest: str) -> Response:
        return PlainTextResponse("no_service", 404)

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return render_page(store.messages, web_api.workspace)

    _add_control(app, store, clock)
    return app


def _add_control(app: FastAPI, store: Store, clock: Clock) -> None:
    @app.get("/control/messages")
    async def messages() -> list[kept.Request]:
        return store.messages

    @app.get("/control/requests")
    async def requests() -> list[kept.Request]:
        return store.requests

    @app.delete("/control/messages", status_code=204)
    async def forget() -> None:
        store.forget()

    @app.post("/control/script", status_code=204)
    async def play_next(answers: Answers) -> None:
        store.play(answers.answers)

    @app.delete("/control/script", status_code=204)
    async def stop_playing() -> None:
        store.stop_playing()

    @app.put("/control/rate", status_code=204)
    async def limit(rate: RateLimit) -> None:
        store.limit(rate, clock().timestamp())

    @app.delete("/control/rate", status_code=204)
    async def lift() -> None:
        store.limit(None, clock().timestamp())


def main() -> None:
    """Entry point: run until SIGTERM."""
    settings = load_settings_or_exit(StandInSettings)
    health = Health()

    async def work() -> Any:
        health.ready("start")
        await asyncio.Event().wait()

    http = make_http(Store(settings.stand_in_file), settings.stand_in_token, system_clock)
    run(Service("slack-stand-in", settings, http, health, work))
