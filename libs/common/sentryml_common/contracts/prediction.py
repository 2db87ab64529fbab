"""`predictions.v1`: the prediction event, the same over HTTP and in Kafka.

SentryML watches predictions and nothing else: any other field is refused, so that feature values can never enter, not
even by mistake. The response names it to the sender; logs and dead letters do not, since a name may itself be
private.

    read_rows     fast: msgspec decodes all events at once; what it refuses goes on to
    parse_events  exact: counts first, then validates event by event, and stops explaining after MOST_ERRORS

Both take time in proportion to the length of a body, whatever it holds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
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
MAX_SLICE_LENGTH = 64
ABOUT_EVENT_ID = "For the sender's own tracing. Two events with the same one count twice: see `Idempotency-Key`."
REQUEST_ID_HEADER, REQUEST_ID_BYTES = "sentryml-request-id", 16
"""A record of a request that may be sent again has an id in this header: the same one each time."""
NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]*"
"""What a version or a segment is made of: they are names, which people read."""
EARLIEST, LATEST = 0.0, 253_370_764_800.0  # 1970-01-01 and 9999-01-01: what datetime can hold, with a day to spare


def _read_timestamp(value: Any) -> Any:
    """Epoch seconds become a datetime; RFC 3339 text goes on to pydantic; anything else is refused with a reason."""
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


def request_id_in(headers: Iterable[tuple[str, bytes]]) -> bytes | None:
    """The id in a record's headers; None where there is none, or not one of ingest's."""
    found = next((value for name, value in headers if name == REQUEST_ID_HEADER), None)
    return found if found is not None and len(found) == REQUEST_ID_BYTES else None


_TIMESTAMP = WithJsonSchema(
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": EARLIEST}]}
)

SliceValue = Annotated[str, Field(min_length=1, max_length=MAX_SLICE_LENGTH, pattern=f"^{NO_CONTROLS}$")]

# The same rules for msgspec.
PredictionValue = Annotated[str, msgspec.Meta(max_length=MAX_PREDICTION_LENGTH)] | bool | float
TimestampValue = Annotated[datetime, msgspec.Meta(tz=True)] | Annotated[float, msgspec.Meta(ge=EARLIEST, lt=LATEST)]
EventIdValue = Annotated[str, msgspec.Meta(max_length=MAX_EVENT_ID_LENGTH)]
SliceText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SLICE_LENGTH, pattern=rf"\A{NO_CONTROLS}\Z")]


class PredictionEvent(BaseModel):
    """One prediction of one model.

    `timestamp` is when the prediction was made; it may be left out. Over HTTP it is then the time of receipt, in a
    Kafka record the time at which the broker took it. `version` is that of the model which made the prediction,
    `segment` a part of its traffic, for example a country: both say where a change is, and raise no alert.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    model_id: ModelId
    prediction: Annotated[str, Field(max_length=MAX_PREDICTION_LENGTH)] | StrictBool | FiniteFloat
    score: FiniteFloat | None = None
    timestamp: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_read_timestamp), _TIMESTAMP] | None = None
    event_id: Annotated[str, Field(max_length=MAX_EVENT_ID_LENGTH)] | None = Field(None, description=ABOUT_EVENT_ID)
    version: SliceValue | None = None
    segment: SliceValue | None = None


class EventRow(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """A prediction event as the services work on it: the rules of `PredictionEvent`, checked ten times as fast.

    What it accepts, `PredictionEvent` accepts with the same meaning (a contract test holds one against the other);
    what it refuses is for `PredictionEvent` to accept after all, or to explain.
    """

    model_id: str
    prediction: PredictionValue
    score: float | None = None
    timestamp: TimestampValue | None = None
    event_id: EventIdValue | None = None
    version: SliceText | None = None
    segment: SliceText | None = None

    def seconds(self) -> float:
        """The event's own time, epoch seconds; only where it has one."""
        at = self.timestamp
        assert at is not None
        return at if isinstance(at, float) else at.timestamp()


class _Fields(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """The fields of an event as they were sent. Encoded again, each is there once."""

    model_id: msgspec.Raw
    prediction: msgspec.Raw
    score: msgspec.Raw = msgspec.Raw()
    timestamp: msgspec.Raw = msgspec.Raw()
    event_id: msgspec.Raw = msgspec.Raw()
    version: msgspec.Raw = msgspec.Raw()
    segment: msgspec.Raw = msgspec.Raw()


FIELDS = frozenset(PredictionEvent.model_fields)
THE_EVENT = "(event)"
"""In place of a field, where an event as a whole is wrong."""


class BadField(BaseModel):
    """What is wrong with one field of one event of a batch. `field` is for the sender alone: it may be any text."""

    index: int
    field: str
    reason: str

    def for_sender(self) -> str:
        """The error with the name of its field, whatever that is."""
        return f"event {self.index}, {self.field}: {self.reason}"

    def for_log(self) -> str:
        """The error without what a sender made up: the names of unknown fields may hold personal data."""
        named = self.field in FIELDS or self.field == THE_EVENT
        return self.for_sender() if named else f"event {self.index}: {self.reason}"


class InvalidEvents(Exception):
    """A body or record holds events that break the contract; `errors` names each, at most MOST_ERRORS.

    As text it holds nothing that the sender made up, so it may be logged and kept.
    """

    def __init__(self, errors: list[BadField]) -> None:
        super().__init__("; ".join(error.for_log() for error in errors[:3]))
        self.errors = errors


class TooManyEvents(UndecodableMessage):
    """A body holds `count` events, more than the limit; none of them was read."""

    def __init__(self, count: int, most_events: int) -> None:
        super().__init__("too_many_events", f"a request may hold {most_events:,} events, this one has {count:,}")
        self.count = count


MOST_ERRORS = 100
"""Errors that are explained; a body with this many may have others."""
LONGEST_NAME = 64
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_EVENT = TypeAdapter(PredictionEvent)
_ROW, _ROWS = msgspec.json.Decoder(EventRow), msgspec.json.Decoder(list[EventRow])
_FIELDS, _MANY_FIELDS = msgspec.json.Decoder(_Fields), msgspec.json.Decoder(list[_Fields])
_MANY_RAW = msgspec.json.Decoder(list[msgspec.Raw])

# One model sends many events: its id is matched once, not in each.
is_model_id = lru_cache(maxsize=1 << 16)(re.compile(MODEL_ID_PATTERN.removesuffix("$")).fullmatch)


def read_rows(body: bytes, *, most_events: int | None = None) -> list[EventRow]:
    """Read one event or an array of events, fast.

    Raises:
        UndecodableMessage: as `parse_events`.
        InvalidEvents: as `parse_events`.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    try:
        if body[:1] == b"{":
            row = _ROW.decode(body)
            if is_model_id(row.model_id) and _quotes_of(_FIELDS.decode(body)) == body.count(b'"'):
                return [row]
        rows = _ROWS.decode(body)
        if rows and all(map(is_model_id, [row.model_id for row in rows])) and _each_field_once(body):
            check_count(len(rows), most_events)
            return rows
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a ValidationError is a DecodeError, too
        pass
    return [EventRow(**vars(event)) for event in parse_events(body, most_events=most_events)]


def parse_events(body: bytes, *, most_events: int | None = None) -> list[PredictionEvent]:
    """Read one event or an array of events, and explain what is wrong with them.

    Raises:
        UndecodableMessage: `not_json`, or `not_events` (neither an object nor an array), or `no_events`.
        TooManyEvents: the body holds more than `most_events`; nothing else was read.
        InvalidEvents: one or more events break the contract; the first MOST_ERRORS errors are named.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    try:
        data = _as_array(orjson.loads(body))
    except orjson.JSONDecodeError as err:
        found = _with_constants(body)
        check_count(len(found), most_events)
        _refuse(_constants(found))
        # Not `from`: the parser's error holds the whole body.
        raise UndecodableMessage("not_json", f"the body is not JSON: {err}") from None
    check_count(len(data), most_events)
    events: list[PredictionEvent] = []
    _refuse(_validate(data, events))
    try:
        if not _each_field_once(body):
            _refuse(_repeated(body))
    except RecursionError:
        raise UndecodableMessage("not_json", "the body is nested too deeply") from None
    return events


def _is_array(body: bytes) -> bool:
    return body.lstrip(b" \t\n\r")[:1] == b"["


def _as_array(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return [data]
    if not isinstance(data, list):
        raise UndecodableMessage("not_events", "send one event (a JSON object) or an array of events")
    if not data:
        raise UndecodableMessage("no_events", "the array is empty: send at least one event")
    return data


def check_count(count: int, most_events: int | None) -> None:
    if most_events is not None and count > most_events:
        raise TooManyEvents(count, most_events)


def _refuse(errors: Iterator[BadField]) -> None:
    """Raise the first errors, if there are any; no more are searched."""
    first = list(islice(errors, MOST_ERRORS))
    if first:
        raise InvalidEvents(first)


def _validate(data: list[Any], events: list[PredictionEvent]) -> Iterator[BadField]:
    """Validate one event after the other; the good ones are added to `events`."""
    for index, event in enumerate(data):
        if not isinstance(event, dict):
            yield BadField(index=index, field=THE_EVENT, reason="must be a JSON object")
            continue
        # Not left to pydantic: it would explain each of 50,000 unknown fields.
        unknown = [name for name in event if name not in FIELDS]
        for name in sorted(unknown[:MOST_ERRORS]):
            yield BadField(index=index, field=_shortened(name), reason=_UNKNOWN)
        try:
            events.append(_EVENT.validate_python({name: event[name] for name in FIELDS & event.keys()}))
        except ValidationError as err:
            yield from _explain(index, err)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _explain(index: int, err: ValidationError) -> Iterator[BadField]:
    """One line per field, with a text that says what to do."""
    found: dict[str, BadField] = {}
    for error in err.errors(include_url=False, include_input=False):
        field = str(error["loc"][0])
        found.setdefault(field, BadField(index=index, field=field, reason=_reason(field, error)))
    yield from (found[field] for field in sorted(found))


def _each_field_once(body: bytes) -> bool:
    """Whether no event has a field twice: all decoders keep the last one, so there are quotes that got lost."""
    fields = _MANY_FIELDS.decode(body) if _is_array(body) else _FIELDS.decode(body)
    return _quotes_of(fields) == body.count(b'"')


def _quotes_of(fields: _Fields | list[_Fields]) -> int:
    return msgspec.json.encode(fields).count(b'"')


def _repeated(body: bytes) -> Iterator[BadField]:
    """The fields that were given twice."""
    items = _MANY_RAW.decode(body) if _is_array(body) else [body]
    for index, item in enumerate(map(bytes, items)):
        if not _each_field_once(item):
            names = [name for name, _ in json.loads(item, object_pairs_hook=list)]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield BadField(index=index, field=name, reason="is given more than once: send it once")


def _with_constants(body: bytes) -> list[Any]:
    """What a body that is not JSON would be if NaN and Infinity were; empty where that is not what is wrong with it."""
    if b"NaN" not in body and b"Infinity" not in body:
        return []
    try:
        return _as_array(json.loads(body, parse_constant=_Constant))
    except (ValueError, RecursionError, UndecodableMessage):
        return []


class _Constant(str):
    """NaN or an infinity, as it was written."""

    __slots__ = ()


def _constants(data: list[Any]) -> Iterator[BadField]:
    """The fields that hold NaN or an infinity."""
    for index, event in enumerate(data):
        fields = event.items() if isinstance(event, dict) else [(THE_EVENT, event)]
        for name, value in fields:
            if isinstance(value, _Constant):
                instead = (
                    "leave the event out, since a prediction cannot be null" if name == "prediction" else "send null"
                )
                yield BadField(index=index, field=_shortened(name), reason=f"{value} is not JSON: {instead}")


def _reason(field: str, error: Any) -> str:
    """What to do about one error: by its type where that says more, else by the field's rule."""
    kind = error["type"]
    if kind in {"timestamp_form", "timestamp_range"}:
        return str(error["msg"])
    return _REASON_OF_TYPE.get(kind) or _RULE_OF_FIELD.get(field) or str(error["msg"])


_UNKNOWN = "unknown field: SentryML takes no feature values, labels or payloads; remove it"
_REASON_OF_TYPE = {"missing": "is required", "timezone_aware": "needs an offset, for example 2026-11-23T09:15:00Z"}
_RULE_OF_SLICE = f"must be text of 1 to {MAX_SLICE_LENGTH} characters, none of them a control character"
_RULE_OF_FIELD = {
    "model_id": "must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    "prediction": "must be text of at most 128 characters, a finite number, or a boolean",
    "score": "must be a finite number or null",
    "event_id": "must be text of at most 64 characters",
    "version": _RULE_OF_SLICE,
    "segment": _RULE_OF_SLICE,
    "timestamp": "must be RFC 3339 with an offset, for example 2026-11-23T09:15:00Z, or a number of epoch seconds",
}
