"""`predictions.v1`: the prediction event, the same over HTTP and in Kafka.

SentryML watches predictions and nothing else: any other field is refused by name, so that feature values can
never enter, not even by mistake.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from sentryml_common.contracts.message import MODEL_ID_PATTERN, ModelId
from sentryml_common.errors import UndecodableMessage

MAX_PREDICTION_LENGTH = 128
MAX_EVENT_ID_LENGTH = 64
EARLIEST, LATEST = 0.0, 253_370_764_800.0  # 1970-01-01 and 9999-01-01: what datetime can hold, with a day to spare


def _read_timestamp(value: Any) -> Any:
    """Epoch seconds become a datetime; RFC 3339 text goes on to pydantic; anything else is refused in words."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime):
        raise PydanticCustomError(
            "timestamp_form", "must be RFC 3339 text with an offset, or a number of epoch seconds"
        )
    if isinstance(value, str):
        if value.strip().lstrip("+-").replace(".", "", 1).isdigit():
            raise PydanticCustomError("timestamp_form", "epoch seconds must be a number, not text")
        return value
    if isinstance(value, int | float):
        if not (math.isfinite(value) and EARLIEST <= value < LATEST):
            raise PydanticCustomError(
                "timestamp_range", "epoch seconds must lie between 1970 and 9998 (are these milliseconds?)"
            )
        return datetime.fromtimestamp(value, UTC)
    return value


_TIMESTAMP = WithJsonSchema(
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": EARLIEST}]}
)


class PredictionEvent(BaseModel):
    """One prediction of one model.

    `timestamp` is when the prediction was made; over HTTP it may be left out (then: the time of receipt), in a
    Kafka record it may be left out where the record's own timestamp serves.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    model_id: ModelId
    prediction: Annotated[str, Field(max_length=MAX_PREDICTION_LENGTH)] | StrictBool | FiniteFloat
    score: FiniteFloat | None = None
    timestamp: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_read_timestamp), _TIMESTAMP] | None = None
    event_id: Annotated[str, Field(max_length=MAX_EVENT_ID_LENGTH)] | None = None


class EventRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A prediction event as the services work on it: the rules of `PredictionEvent`, checked twenty times as fast.

    What it accepts, `PredictionEvent` accepts with the same meaning (a contract test holds one against the other);
    what it refuses is for `PredictionEvent` to accept after all, or to explain.
    """

    model_id: str
    prediction: Annotated[str, msgspec.Meta(max_length=MAX_PREDICTION_LENGTH)] | bool | float
    score: float | None = None
    timestamp: (
        Annotated[datetime, msgspec.Meta(tz=True)] | Annotated[float, msgspec.Meta(ge=EARLIEST, lt=LATEST)] | None
    ) = None
    event_id: Annotated[str, msgspec.Meta(max_length=MAX_EVENT_ID_LENGTH)] | None = None

    def seconds(self) -> float:
        """The event's own time, epoch seconds; only where it has one."""
        at = self.timestamp
        assert at is not None
        return at if isinstance(at, float) else at.timestamp()


class BadField(BaseModel):
    """What is wrong with one field of one event of a batch."""

    index: int
    field: str
    reason: str


class InvalidEvents(Exception):
    """A body or record holds events that break the contract; `errors` names each."""

    def __init__(self, errors: list[BadField]) -> None:
        super().__init__("; ".join(f"event {e.index}, {e.field}: {e.reason}" for e in errors[:3]))
        self.errors = errors


_EVENTS = TypeAdapter(list[PredictionEvent])


_ROW, _ROWS = msgspec.json.Decoder(EventRow), msgspec.json.Decoder(list[EventRow])


# One model sends many events: its id is matched once, not in each.
_is_model_id = lru_cache(maxsize=1 << 16)(re.compile(MODEL_ID_PATTERN.removesuffix("$")).fullmatch)


def read_rows(body: bytes) -> list[EventRow]:
    """Read one event or an array of events, fast.

    Raises:
        UndecodableMessage: as `parse_events`.
        InvalidEvents: as `parse_events`.
    """
    try:
        if body[:1] == b"{":
            row = _ROW.decode(body)
            if _is_model_id(row.model_id):
                return [row]
        rows = _ROWS.decode(body)
        if rows and all(map(_is_model_id, [row.model_id for row in rows])):
            return rows
    except (msgspec.DecodeError, UnicodeDecodeError):  # a ValidationError is a DecodeError, too
        pass
    return [
        EventRow(event.model_id, event.prediction, event.score, event.timestamp, event.event_id)
        for event in parse_events(body)
    ]


def parse_events(body: bytes) -> list[PredictionEvent]:
    """Read one event or an array of events.

    Raises:
        UndecodableMessage: `not_json`, or `not_events` (neither an object nor an array), or `no_events`.
        InvalidEvents: one or more events break the contract; every one is named.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise UndecodableMessage("not_json", f"the body is not JSON: {err}") from err
    if isinstance(data, dict):
        data = [data]
    if not isinstance(data, list):
        raise UndecodableMessage("not_events", "send one event (a JSON object) or an array of events")
    if not data:
        raise UndecodableMessage("no_events", "the array is empty: send at least one event")
    try:
        return _EVENTS.validate_python(data)
    except ValidationError as err:
        raise InvalidEvents(_explain(err)) from err


def _explain(err: ValidationError) -> list[BadField]:
    """One line per event and field, in words that say what to do."""
    found: dict[tuple[int, str], BadField] = {}
    for error in err.errors(include_url=False, include_input=False, include_context=True):
        index = int(error["loc"][0])
        field = str(error["loc"][1]) if len(error["loc"]) > 1 else "(event)"
        found.setdefault((index, field), BadField(index=index, field=field, reason=_reason(field, error)))
    return [found[key] for key in sorted(found)]


def _reason(field: str, error: Any) -> str:
    """What to do about one error: by its type where that says more, else by the field's rule."""
    kind = error["type"]
    if kind in {"timestamp_form", "timestamp_range"}:
        return str(error["msg"])
    return _REASON_OF_TYPE.get(kind) or _RULE_OF_FIELD.get(field) or str(error["msg"])


_REASON_OF_TYPE = {
    "extra_forbidden": "unknown field: SentryML takes no feature values, labels or payloads; remove it",
    "missing": "is required",
    "model_type": "must be a JSON object",
    "timezone_aware": "needs an offset, for example 2026-11-23T09:15:00Z",
}
_RULE_OF_FIELD = {
    "model_id": "must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    "prediction": "must be text of at most 128 characters, a finite number, or a boolean",
    "score": "must be a finite number or null",
    "event_id": "must be text of at most 64 characters",
    "timestamp": "must be RFC 3339 with an offset, for example 2026-11-23T09:15:00Z, or a number of epoch seconds",
}
