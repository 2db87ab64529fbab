"""What is answered to a request that is not taken."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from sentryml_common.contracts.prediction import MOST_ERRORS, BadField, InvalidEvents, TooManyEvents
from sentryml_common.errors import RecordTooLarge, Unavailable, UndecodableMessage
from sentryml_common.http.answers import API_HEADERS
from sentryml_common.http.problems import Problem, defect, unavailable
from sentryml_common.logging import get_logger
from sentryml_ingest.domain.idempotency import BadIdempotencyKey
from sentryml_ingest.domain.key_limits import Limit, LimitReached
from sentryml_ingest.metrics import EVENTS_REFUSED, REQUESTS, REQUESTS_LIMITED

log = get_logger(__name__)

LIMIT_TEXTS = {
    Limit.EVENTS: "this API key has reached its limit of events",
    Limit.BYTES: "this API key has reached its limit of bytes",
    Limit.NEW_MODELS: "this API key has reached its hourly limit of new models",
}


def refusal(err: Exception) -> Response:
    """The answer to a request that has ended in an error; counted. What is no reason to refuse one is a defect."""
    problem = _problem(err)
    REQUESTS.labels(status=str(problem.status)).inc()
    found = problem.response()
    found.headers.update(API_HEADERS)
    return found


def _problem(err: Exception) -> Problem:
    match err:
        case Problem():
            problem = err
        case Unavailable():
            problem = unavailable(str(err))
        case LimitReached():
            problem = _limit_reached(err)
        case TooManyEvents():
            EVENTS_REFUSED.labels(reason=err.reason).inc(err.count)
            problem = Problem(413, "too-many-events", err.detail)
        case UndecodableMessage():
            EVENTS_REFUSED.labels(reason=err.reason).inc()
            problem = Problem(422, err.reason.replace("_", "-"), err.detail, errors=[])
        case InvalidEvents():
            EVENTS_REFUSED.labels(reason="invalid_events").inc(len({bad.index for bad in err.errors}))
            problem = invalid_events(err.errors)
        case BadIdempotencyKey():
            problem = Problem(400, "bad-idempotency-key", str(err))
        case RecordTooLarge():
            size = f"with timestamps the events have {err.size:,} bytes, more than a Kafka record may"
            problem = Problem(413, "record-too-large", f"{size}: send fewer at a time")
        case _:
            log.error("request_failed", exc_info=err)
            problem = defect()
    return problem


def _limit_reached(err: LimitReached) -> Problem:
    """With the limit and when to retry."""
    REQUESTS_LIMITED.labels(limit=err.limit.value).inc()
    detail = f"{LIMIT_TEXTS[err.limit]} (SENTRYML_{err.limit.upper()}): nothing was accepted, retry in {err.seconds} s"
    headers = {"Retry-After": str(err.seconds)}
    return Problem(429, "key-limit", detail, headers=headers, limit=err.limit.value)


def invalid_events(errors: Sequence[BadField]) -> Problem:
    """What is wrong with events, with the names of fields: this answer goes to their sender alone."""
    more = len(errors) >= MOST_ERRORS
    number = f"{len(errors)} error{'s' * (len(errors) != 1)}{' or more' if more else ''}"
    first = "; ".join(bad.for_sender() for bad in errors[:3])
    shown = [bad.model_dump() for bad in errors]
    return Problem(422, "invalid-events", f"{number}, nothing was accepted: {first}", errors=shown, more_errors=more)
