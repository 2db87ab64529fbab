"""`POST /v1/events`: one event or an array; 202 only after Kafka has acknowledged all of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from sentryml_common.clock import Clock
from sentryml_common.contracts.prediction import InvalidEvents, PredictionEvent, parse_events
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_ingest.domain.admission import admit, encode_events, models_of
from sentryml_ingest.http.auth import check_models
from sentryml_ingest.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED, REQUESTS
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings

ERRORS_SHOWN = 100
RECORD_BYTES_MAX = 1_000_000
"""What one Kafka record may hold, just below the brokers' default: above it, Kafka would never take it."""

EXAMPLE = {"model_id": "flights-delay", "prediction": "late", "score": 0.93, "timestamp": "2026-11-23T09:15:00Z"}


class Accepted(BaseModel):
    """All events of the request are in Kafka."""

    accepted: int = Field(description="How many events were taken.", examples=[1])


RESPONSES = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key may not write events, or not of these models."),
    (413, "The body or the number of events is over the limit."),
    (415, "The body is not JSON by its content type."),
    (422, "Events break the contract; `errors` names each by index, field and reason (the first 100)."),
    (503, "Kafka does not take the events now; `Retry-After` says when to try again. Nothing was half taken."),
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the route needs."""

    settings: IngestSettings
    gatekeeper: Gatekeeper
    publisher: EventPublisher
    clock: Clock

    async def take(self, request: Request) -> int:
        """Take all events of a request, or none; return how many.

        Raises:
            Problem: the request is refused, in words that say what to do.
            Unavailable: Kafka does not take it.
        """
        key = self.gatekeeper.admit(request.headers.get("authorization"))
        events = self._read(await self._body(request))
        check_models(key, models_of(events))
        record = encode_events(events)
        if len(record) > RECORD_BYTES_MAX:
            detail = f"with their times, the events come to {len(record):,} bytes: send fewer events at a time"
            raise Problem(413, "record-too-large", detail)
        await self.publisher.publish(record)
        EVENTS_ACCEPTED.inc(len(events))
        return len(events)

    async def _body(self, request: Request) -> bytes:
        content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise Problem(415, "not-json", f"send application/json, not {content_type}")
        body, limit = bytearray(), self.settings.max_body_bytes
        try:
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    detail = f"a body may hold {limit:,} bytes: send fewer events at a time"
                    raise Problem(413, "body-too-large", detail)
        except ClientDisconnect as err:
            # Nobody hears this answer; it keeps a sender's hanging up apart from a defect of ours.
            raise Problem(400, "cut-short", "the connection ended before the body did") from err
        return bytes(body)

    def _read(self, body: bytes) -> list[PredictionEvent]:
        try:
            events = parse_events(body)
            if len(events) > self.settings.max_events:
                limit = self.settings.max_events
                raise Problem(
                    413, "too-many-events", f"a request may hold {limit:,} events, this one has {len(events):,}"
                )
            return admit(events, now=self.clock(), future_limit_seconds=self.settings.future_limit_seconds)
        except UndecodableMessage as err:
            EVENTS_REFUSED.labels(reason=err.reason).inc()
            raise Problem(422, err.reason.replace("_", "-"), err.detail, errors=[]) from err
        except InvalidEvents as err:
            EVENTS_REFUSED.labels(reason="invalid_events").inc(len({bad.index for bad in err.errors}))
            shown = [bad.model_dump() for bad in err.errors[:ERRORS_SHOWN]]
            detail = f"{len(err.errors)} errors, nothing was taken: {err}"
            raise Problem(422, "invalid-events", detail, errors=shown, errors_total=len(err.errors)) from err


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
