"""`POST /v1/events`: one event or an array; 202 only after Kafka has acknowledged all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from sentryml_common.clock import Clock
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.prediction import MOST_ERRORS, EventRow, InvalidEvents, TooManyEvents, read_rows
from sentryml_common.errors import RecordTooLarge, Unavailable, UndecodableMessage
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.bodies import read_body
from sentryml_common.http.problems import Problem, problem_answers, unavailable
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.domain.admission import TimeLimits, admit, encode_events, models_of
from sentryml_ingest.domain.key_limits import KeyLimits, Limit, LimitReached
from sentryml_ingest.http.auth import check_models
from sentryml_ingest.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED, REQUESTS, REQUESTS_LIMITED
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings

DEFAULT_REACH_SECONDS = MonitorSettings().reach_seconds
RECORD_BYTES_MAX = 1_000_000
"""What one Kafka record may hold, just below the brokers' default: Kafka refuses larger ones."""

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

    async def take(self, request: Request) -> int:
        """Take all events of a request, or none; return how many.

        Raises:
            Problem: the request is refused, with a text that says what to do.
            Unavailable: Kafka does not take it.
        """
        key = self.gatekeeper.admit(request.headers.get("authorization"))
        if not self.monitors.caught_up.is_set():
            raise unavailable("the monitors are still being read from Kafka: try again in a few seconds")
        body = await self._body(request)
        with _limited():
            self.limits.take_bytes(key.key_id, len(body), self.clock().timestamp())
        rows = self._read(body)
        models = models_of(rows)
        check_models(key, models)
        without_monitor = [model_id for model_id in models if model_id not in self.monitors.current]
        with _limited():
            self.limits.take_events(key.key_id, len(rows), without_monitor, self.clock().timestamp())
        record = encode_events(rows)
        if len(record) > RECORD_BYTES_MAX:
            raise _too_large(record)
        try:
            await self.publisher.publish(record)
        except RecordTooLarge:  # this Kafka is set to take less
            raise _too_large(record) from None
        EVENTS_ACCEPTED.inc(len(rows))
        return len(rows)

    async def _body(self, request: Request) -> bytes:
        _check_content(request)
        body = await read_body(request, self.settings.max_body_bytes, "a body", ": send fewer events at a time")
        if body.startswith(GZIP):
            raise _encoded("gzip")
        return body

    def _read(self, body: bytes) -> Sequence[EventRow]:
        try:
            rows = read_rows(body, most_events=self.settings.max_events)
            return admit(rows, now=self.clock(), limits=self._time_limits())
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
        return TimeLimits(self.settings.future_limit_seconds, longest, self._reach_of)

    def _reach_of(self, model_id: str) -> float:
        monitor = self.monitors.current.get(model_id)
        return DEFAULT_REACH_SECONDS if monitor is None else monitor.reach_seconds


def _too_large(record: bytes) -> Problem:
    detail = f"with timestamps the events have {len(record):,} bytes: send fewer events at a time"
    return Problem(413, "record-too-large", detail)


@contextmanager
def _limited() -> Iterator[None]:
    """Answer with a problem where a limit of the key is reached.

    Raises:
        Problem: 429, with the limit and when to retry.
    """
    try:
        yield
    except LimitReached as err:
        REQUESTS_LIMITED.labels(limit=err.limit.value).inc()
        detail = (
            f"{LIMIT_TEXTS[err.limit]} (SENTRYML_{err.limit.upper()}): nothing was accepted, retry in {err.seconds} s"
        )
        headers = {"Retry-After": str(err.seconds)}
        raise Problem(429, "key-limit", detail, headers=headers, limit=err.limit.value) from None


def _check_content(request: Request) -> None:
    """Refuse what is not plain JSON by its headers.

    Raises:
        Problem: 415, naming what was sent and what is accepted.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Problem(415, "not-json", f"send application/json, not {content_type}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise _encoded(encoding)


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
        "/v1/events",
        status_code=202,
        response_model=Accepted,
        responses=RESPONSES,
        summary="Send one prediction event, or an array of them",
        openapi_extra={
            "security": [{"ApiKey": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body, "examples": example}}},
        },
    )
    async def post_events(request: Request) -> JSONResponse:
        try:
            accepted = await gateway.take(request)
        except Problem as problem:
            REQUESTS.labels(status=str(problem.status)).inc()
            raise
        except Unavailable:
            REQUESTS.labels(status="503").inc()
            raise
        except Exception:
            REQUESTS.labels(status="500").inc()
            raise
        REQUESTS.labels(status="202").inc()
        return JSONResponse({"accepted": accepted}, status_code=202)

    return router
