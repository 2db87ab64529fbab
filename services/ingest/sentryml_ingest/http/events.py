"""`POST /v1/events`: one event or many; 202 only after Kafka has acknowledged all of them."""

from __future__ import annotations

import asyncio
from functools import lru_cache, partial
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope

from sentryml_common.contracts.prediction import MOST_ERRORS, BadField, PredictionEvent
from sentryml_common.http.answers import API_HEADERS
from sentryml_common.http.bodies import checked_body, read_body
from sentryml_common.http.connections import Answer, TakeBody
from sentryml_common.http.problems import problem_answers
from sentryml_ingest.domain.body_forms import SHARED, Form
from sentryml_ingest.domain.encodings import Encoding
from sentryml_ingest.domain.idempotency import MOST_CHARACTERS
from sentryml_ingest.http.content import Headers
from sentryml_ingest.http.gateway import Gateway, Opened, Taken
from sentryml_ingest.http.refusals import refusal
from sentryml_ingest.metrics import EVENTS_ACCEPTED, REQUESTS

PATH = "/v1/events"
BODY = ("a body", ": send fewer events at a time")
_ACCEPTED = REQUESTS.labels(status="202")
EXAMPLE = {"model_id": "flights-delay", "prediction": "late", "score": 0.93, "timestamp": "2026-11-23T09:15:00Z"}


class Accepted(BaseModel):
    """The accepted events are in Kafka: all of the request, or with `Prefer: handling=lenient` the good ones. The other
    fields are there only with that."""

    accepted: int = Field(description="Number of accepted events.", examples=[1])
    refused: int | None = Field(None, description="Number of events that were left out.", examples=[1])
    errors: list[BadField] | None = Field(None, description="What is wrong with them, the first 100.")
    more_errors: bool | None = Field(None, description="Whether there may be more errors.")


RESPONSES = problem_answers(
    (400, "The `Idempotency-Key` cannot be used, or the connection ended before the body did."),
    (401, "No API key, or no valid one."),
    (403, "The key may not write events, or not of these models."),
    (408, "The body did not arrive in time; the connection is closed."),
    (413, "The body, as sent or unpacked, or the number of events is over the limit."),
    (415, "The body is of another content type, or compressed in another way, than is supported."),
    (429, "The API key has reached a limit; `Retry-After` says when to retry. Nothing was accepted."),
    (
        422,
        "Events break the contract, or are too old or too new to be counted; `errors` names each by index, field and "
        "reason (the first 100).",
    ),
    (
        503,
        "Kafka does not accept the events now; `Retry-After` says when to retry. A request is never accepted in part.",
    ),
)


_EVENT, _COLUMNS = ({"$ref": f"#/components/schemas/{name}"} for name in ("PredictionEvent", "PredictionColumns"))
BODIES = {
    Form.JSON: {
        "schema": {"oneOf": [_EVENT, {"type": "array", "minItems": 1, "items": _EVENT}, _COLUMNS]},
        "examples": {
            "one": {"value": EXAMPLE},
            "many": {"value": [EXAMPLE, {"model_id": "fraud", "prediction": 0.02}]},
            "columns": {"value": {"model_id": "fraud", "prediction": [0.02, 0.71], "version": "2.3"}},
        },
    },
    Form.LINES: {"schema": {"type": "string", "description": "One event on each line."}},
}
HEADERS = (
    ("Content-Encoding", "How the body is compressed.", {"type": "string", "enum": list(Encoding)}),
    (
        "Idempotency-Key",
        "Makes a retry count once: of the requests of an API key with the same `Idempotency-Key` only the first one is "
        "counted, whatever their bodies hold, within 32,768 records of its partition. Visible ASCII characters; take "
        "another one for each request, for example a UUID.",
        {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS, "pattern": "^[!-~]+$"},
    ),
    (
        "Prefer",
        "With `handling=lenient` (RFC 7240) the good events are accepted, and the bad ones are named in the answer. "
        "Without it all events are accepted or none.",
        {"type": "string", "examples": ["handling=lenient"]},
    ),
)


def columns_schema() -> dict[str, Any]:
    """The schema of events as columns: a list where an event has a value; what all share may be one value."""
    fields: dict[str, Any] = PredictionEvent.model_json_schema()["properties"]
    return {
        "type": "object",
        "description": "Many events: a list for each field, all of one length. `model_id`, `version` and `segment` may "
        "be one value for all.",
        "required": ["model_id", "prediction"],
        "additionalProperties": False,
        "properties": {
            name: {"anyOf": [each, {"type": "array", "items": each}]}
            if name in SHARED
            else {"type": "array", "items": each}
            for name, each in fields.items()
        },
    }


def event_routes(gateway: Gateway) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["events"])

    @router.post(
        PATH,
        status_code=202,
        response_model=Accepted,
        response_model_exclude_none=True,
        responses=RESPONSES,
        summary="Send prediction events: one, an array, lines, or columns",
        openapi_extra={
            "security": [{"ApiKey": []}],
            "parameters": [
                {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
                for name, description, schema in HEADERS
            ],
            "requestBody": {"required": True, "content": BODIES},
        },
    )
    async def post_events(request: Request) -> Response:
        return await answer(gateway, request.scope, request.receive)

    return router


async def answer(gateway: Gateway, scope: Scope, receive: Receive) -> Response:
    """The answer to `POST /v1/events` from the framework: 202, or a problem."""
    try:
        opened = gateway.open(headers_of(scope))
        body = await read_body(receive, gateway.settings.max_body_bytes, *BODY)
        lenient = opened.content.lenient
        taken = await gateway.take_good_ones(opened, body) if lenient else gateway.take(opened, body)
        await taken.acknowledged
    except Exception as err:
        return refusal(err)
    count(taken)
    if not lenient:
        return accepted(taken.events)
    return JSONResponse(_leniently(taken), 202, {**API_HEADERS, "Preference-Applied": "handling=lenient"})


class EventsEndpoint:
    """The same where the head and the body of a request come from the connection itself, as nearly all do."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.most_body_bytes = gateway.settings.max_body_bytes

    def begin(self, scope: Scope, answer: Answer) -> TakeBody | None:
        """Take the head of a request."""
        if scope["path"] != PATH or scope["method"] != "POST":
            return None
        try:
            opened = self._gateway.open(headers_of(scope))
        except Exception as err:
            answer(refusal(err))
            return lambda body: None
        return None if opened.content.lenient else partial(self._take, opened, answer)

    def _take(self, opened: Opened, answer: Answer, body: bytes | None) -> None:
        try:
            taken = self._gateway.take(opened, checked_body(body, self.most_body_bytes, *BODY))
        except Exception as err:
            answer(refusal(err))
        else:
            taken.acknowledged.add_done_callback(partial(_answer_taken, taken, answer))


def _answer_taken(taken: Taken, answer: Answer, acknowledged: asyncio.Future[None]) -> None:
    error = acknowledged.exception()
    if error is None:
        count(taken)
        answer(accepted(taken.events))
    else:
        answer(refusal(cast(Exception, error)))


def headers_of(scope: Scope) -> Headers:
    """The headers of a request by name: the first of a name counts."""
    return dict(reversed(scope["headers"]))


def count(taken: Taken) -> None:
    """Count a request whose events Kafka has acknowledged."""
    _ACCEPTED.inc()
    EVENTS_ACCEPTED.inc(taken.events)


def _leniently(taken: Taken) -> dict[str, Any]:
    return {
        "accepted": taken.events,
        "refused": taken.refused,
        "errors": [bad.model_dump() for bad in taken.errors],
        "more_errors": len(taken.errors) >= MOST_ERRORS,
    }


@lru_cache
def accepted(events: int) -> Response:
    """202: nearly all answers are it."""
    return Response(b'{"accepted":%d}' % events, 202, API_HEADERS, "application/json")
