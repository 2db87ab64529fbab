"""`POST /v1/events`: one event or an array; 202 only after Kafka has acknowledged all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import MOST_ERRORS, InvalidEvents, TooManyEvents
from sentryml_common.errors import RecordTooLarge, Unavailable, UndecodableMessage
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.answers import API_HEADERS
from sentryml_common.http.bodies import read_body
from sentryml_common.http.problems import Problem, defect, problem_answers, unavailable
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.domain.admission import TimeLimits, admit
from sentryml_ingest.domain.key_limits import KeyLimits, Limit, LimitReached
from sentryml_ingest.domain.sent_events import Sent, read_sent
from sentryml_ingest.http.auth import check_models
from sentryml_ingest.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED, REQUESTS, REQUESTS_ACCEPTED, REQUESTS_LIMITED
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings

RECORD_BYTES_MAX = 1_000_000
"""What one Kafka record may hold, just below the brokers' default: Kafka refuses larger ones."""

PATH = "/v1/events"
JSON = b"application/json"
ACCEPTED_HEADERS = [(name.lower().encode(), value.encode()) for name, value in API_HEADERS.items()]
ACCEPTED_HEADERS.append((b"content-type", JSON))
GZIP = b"\x1f\x8b"
"""How a compressed body begins, whatever its headers say."""

LIMIT_TEXTS = {
    Limit.EVENTS: "this API key has reached its limit of events",
    Limit.BYTES: "this API key has reached its limit of bytes",
    Limit.NEW_MODELS: "this API key has reached its hourly limit of new models",
}

EXAMPLE = {"model_id": "flights-delay", "prediction": "late", "score": 0.93, "timestamp": "2026-11-23T09:15:00Z"}


class Accepted(BaseModel):
    """All events of the request are in Kafka."""

    accepted: int = Field(description="Number of accepted events.", examples=[1])


RESPONSES = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key may not write events, or not of these models."),
    (408, "The body did not arrive in time; the connection is closed."),
    (413, "The body or the number of events is over the limit."),
    (415, "The body is not JSON by its content type, or it is compressed."),
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


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the route needs."""

    settings: IngestSettings
    gatekeeper: Gatekeeper
    monitors: Follower[Monitor]
    limits: KeyLimits
    publisher: EventPublisher
    clock: Clock

    async def take(self, headers: Mapping[bytes, bytes], receive: Receive) -> int:
        """Take all events of a request, or none; return how many.

        Raises:
            Problem: the request is refused, with a text that says what to do.
            LimitReached: the key has sent too much.
            Unavailable: Kafka does not take it.
        """
        key = self.gatekeeper.admit(headers.get(b"authorization", b"").decode("latin-1"))
        if not self.monitors.caught_up.is_set():
            raise unavailable("the monitors are still being read from Kafka: try again in a few seconds")
        _check_content(headers)
        body = await read_body(receive, self.settings.max_body_bytes, "a body", ": send fewer events at a time")
        if body.startswith(GZIP):
            raise _encoded("gzip")
        record, events = self._admitted(key, body)
        del body  # while Kafka is waited for, requests pile up: memory that is used again soon is in the CPU's cache
        try:
            await self.publisher.publish(record, events)
        except RecordTooLarge:  # this Kafka is set to take less
            raise _too_large(record) from None
        EVENTS_ACCEPTED.inc(events)
        return events

    def _admitted(self, key: ApiKey, body: bytes) -> tuple[bytes, int]:
        """The record of the events in a body, and how many they are."""
        now = self.clock()
        self.limits.take_bytes(key.key_id, len(body), now.timestamp())
        sent = self._read(body, now)
        check_models(key, sent.models)
        events, monitors = len(sent.events), self.monitors.current
        without_monitor = [model_id for model_id in sent.models if model_id not in monitors]
        self.limits.take_events(key.key_id, events, without_monitor, now.timestamp())
        if len(sent.record) > RECORD_BYTES_MAX:
            raise _too_large(sent.record)
        return sent.record, events

    def _read(self, body: bytes, now: datetime) -> Sent:
        try:
            sent = read_sent(body, most_events=self.settings.max_events)
            return admit(sent, now=now, limits=self._time_limits())
        except TooManyEvents as err:
            EVENTS_REFUSED.labels(reason=err.reason).inc(err.count)
            raise Problem(413, "too-many-events", err.detail) from None
        except UndecodableMessage as err:
            EVENTS_REFUSED.labels(reason=err.reason).inc()
            raise Problem(422, err.reason.replace("_", "-"), err.detail, errors=[]) from None
        except InvalidEvents as err:
            EVENTS_REFUSED.labels(reason="invalid_events").inc(len({bad.index for bad in err.errors}))
            raise _invalid(err) from None

    def _time_limits(self) -> TimeLimits:
        """What counts on arrival in Kafka, which may take as long as publishing may."""
        longest = max(0.0, self.settings.longest_window_seconds - self.settings.publish_seconds)
        return TimeLimits(self.settings.future_limit_seconds, longest, self.monitors.current)


def _too_large(record: bytes) -> Problem:
    detail = f"with timestamps the events have {len(record):,} bytes: send fewer events at a time"
    return Problem(413, "record-too-large", detail)


def _limit_reached(err: LimitReached) -> Problem:
    """What is said of a limit of the key, with when to retry."""
    REQUESTS_LIMITED.labels(limit=err.limit.value).inc()
    detail = f"{LIMIT_TEXTS[err.limit]} (SENTRYML_{err.limit.upper()}): nothing was accepted, retry in {err.seconds} s"
    headers = {"Retry-After": str(err.seconds)}
    return Problem(429, "key-limit", detail, headers=headers, limit=err.limit.value)


def _check_content(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what is not plain JSON by its headers.

    Raises:
        Problem: 415, naming what was sent and what is accepted.
    """
    content_type = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if content_type != JSON:
        raise Problem(415, "not-json", f"send application/json, not {content_type.decode('latin-1')}")
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding != b"identity":
        raise _encoded(encoding.decode("latin-1"))


def _encoded(encoding: str) -> Problem:
    detail = f"send the body without a Content-Encoding: {encoding} is not supported"
    return Problem(415, "unsupported-content-encoding", detail, headers={"Accept-Encoding": "identity"})


def _invalid(err: InvalidEvents) -> Problem:
    """What is wrong with events, with the names of fields: this answer goes to their sender alone."""
    more = len(err.errors) >= MOST_ERRORS
    number = f"{len(err.errors)} errors{' or more' if more else ''}"
    first = "; ".join(bad.for_sender() for bad in err.errors[:3])
    shown = [bad.model_dump() for bad in err.errors]
    return Problem(422, "invalid-events", f"{number}, nothing was accepted: {first}", errors=shown, more_errors=more)


def event_routes(gateway: Gateway) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["events"])
    body = {"oneOf": [{"$ref": "#/components/schemas/PredictionEvent"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/PredictionEvent"}}]}  # fmt: skip # noqa: E501
    example = {"one": {"value": EXAMPLE}, "many": {"value": [EXAMPLE, {"model_id": "fraud", "prediction": 0.02}]}}

    @router.post(
        PATH,
        status_code=202,
        response_model=Accepted,
        responses=RESPONSES,
        summary="Send one prediction event, or an array of them",
        openapi_extra={
            "security": [{"ApiKey": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body, "examples": example}}},
        },
    )
    async def post_events(request: Request) -> Response:
        return await answer(gateway, request.scope, request.receive)

    return router


async def answer(gateway: Gateway, scope: Scope, receive: Receive) -> Response:
    """The answer to `POST /v1/events`: 202, or a problem."""
    try:
        accepted = await gateway.take(dict(reversed(scope["headers"])), receive)  # the first of a name counts
    except LimitReached as err:
        found = _limit_reached(err).response()
    except Problem as problem:
        found = problem.response()
    except Unavailable as err:
        found = unavailable(str(err)).response()
    else:
        REQUESTS_ACCEPTED.inc()
        return AcceptedResponse(accepted)
    REQUESTS.labels(status=str(found.status_code)).inc()
    found.headers.update(API_HEADERS)
    return found


class AcceptedResponse(Response):
    """202. Made of what it is sent as: nearly all answers are it."""

    def __init__(self, accepted: int) -> None:
        self.status_code, self.background = 202, None
        self.body = b'{"accepted":%d}' % accepted
        self.raw_headers = [*ACCEPTED_HEADERS, (b"content-length", b"%d" % len(self.body))]


class EventsFirst(FastAPI):
    """An application that answers `POST /v1/events` before the framework begins, whose layers would cost several times
    what the request does. They answer everything else, and describe this route."""

    def __init__(self, gateway: Gateway, **described: Any) -> None:
        super().__init__(**described)
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        try:
            found = await answer(self._gateway, scope, receive)
        except Exception:
            REQUESTS.labels(status="500").inc()
            await defect().response()(scope, receive, send)
            raise  # so that it is logged
        await found(scope, receive, send)
