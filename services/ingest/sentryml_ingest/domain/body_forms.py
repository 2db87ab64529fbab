"""The forms of a body: an event, an array of events, a line for each, or a column for each field.

    {"model_id": "fraud", "prediction": 0.2}                       one event
    [{…}, {…}]                                                     an array
    {…} and {…}, each on a line                                    lines (NDJSON)
    {"model_id": "fraud", "prediction": [0.2, 0.7], "score": […]}  columns

What all events of columns share, `model_id`, `version` and `segment`, may be one value instead of a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import repeat
from typing import Any, TypeVar

import msgspec
import orjson
from msgspec import UNSET, Raw, UnsetType

from sentryml_common.contracts.prediction import (
    BYTE_ORDER_MARK,
    FIELDS,
    EventIdValue,
    PredictionValue,
    SliceText,
    TimestampValue,
    check_count,
    is_model_id,
)
from sentryml_common.errors import UndecodableMessage
from sentryml_ingest.domain.sent_events import (
    BLANKS,
    Sent,
    SentEvent,
    encode,
    has_each_field_once,
    read_good,
    read_or_explain,
    read_sent,
)

SHARED = frozenset({"model_id", "version", "segment"})
T = TypeVar("T")
Column = list[T | None] | UnsetType
# Without the rules of the text alone: msgspec 0.22 frees a union of a text with a pattern and a list wrongly, and a
# process that ends in the usual way may then end by SIGSEGV.
SharedColumn = str | list[SliceText | None] | UnsetType | None


class Form(StrEnum):
    """How a body is written, by its media type."""

    JSON = "application/json"
    LINES = "application/x-ndjson"


class Columns(msgspec.Struct, forbid_unknown_fields=True):
    """Events as columns of equal length."""

    model_id: str | list[str]
    prediction: list[PredictionValue]
    score: Column[float] = UNSET
    timestamp: Column[TimestampValue] = UNSET
    event_id: Column[EventIdValue] = UNSET
    version: SharedColumn = UNSET
    segment: SharedColumn = UNSET


class _RawColumns(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The same as it was sent."""

    model_id: Raw
    prediction: Raw
    score: Raw = Raw()
    timestamp: Raw = Raw()
    event_id: Raw = Raw()
    version: Raw = Raw()
    segment: Raw = Raw()


class _Prediction(msgspec.Struct):
    """The field that tells columns from an event."""

    prediction: Raw


_PREDICTION = msgspec.json.Decoder(_Prediction)
_COLUMNS, _RAW_COLUMNS = msgspec.json.Decoder(Columns), msgspec.json.Decoder(_RawColumns)
_ITEMS = msgspec.json.Decoder(list[Raw])


def read_form(form: Form, body: bytes, *, most_events: int) -> Sent:
    """Read the events of a body.

    Raises:
        UndecodableMessage: it is not of that form.
        TooManyEvents: it holds more than `most_events`.
        InvalidEvents: events break the contract; the first errors are named.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    if form is Form.LINES:
        return _read_lines(body, most_events)
    sent = read_good(body, most_events=most_events)
    if sent is not None:
        return sent
    if _is_columns(body):
        return _read_columns(body, most_events)
    return read_or_explain(body, most_events=most_events)


def items_of(form: Form, body: bytes, *, most_events: int) -> list[bytes]:
    """The events of a body as they were written, good or bad, each to be read by itself.

    Raises:
        UndecodableMessage: it is not of that form.
        TooManyEvents: it holds more than `most_events`.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    if form is Form.LINES:
        items = [line for _, line in _lines_of(body)]
    elif _is_columns(body):
        items = list(map(orjson.dumps, _rows_in(body)))
    elif body.lstrip(BLANKS)[:1] == b"[":
        items = _array_of(body)
    else:
        items = [body]
    if not items:
        raise UndecodableMessage("no_events", "there is no event: send at least one")
    check_count(len(items), most_events)
    return items


def _array_of(body: bytes) -> list[bytes]:
    try:
        return list(map(bytes, _ITEMS.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise UndecodableMessage("not_json", f"the body is not JSON: {err}") from None


def _lines_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers from 1."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip(BLANKS):
            yield number, line


def _read_lines(body: bytes, most_events: int) -> Sent:
    lines = list(_lines_of(body))
    if not lines:
        raise UndecodableMessage("no_events", "there is no line: send at least one event")
    check_count(len(lines), most_events)
    try:
        return read_sent(b"[" + b",".join([line for _, line in lines]) + b"]", most_events=most_events)
    except UndecodableMessage:
        for number, line in lines:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError as err:
                raise UndecodableMessage("not_json", f"line {number} is not JSON: {err}") from None
        raise


def _is_columns(body: bytes) -> bool:
    """Whether it is an object with a list of predictions."""
    if body.lstrip(BLANKS)[:1] != b"{":
        return False
    try:
        return bytes(memoryview(_PREDICTION.decode(body).prediction)[:1]) == b"["
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _read_columns(body: bytes, most_events: int) -> Sent:
    """Fast where nothing is wrong, else event by event, which says what is."""
    sent = _read_good_columns(body, most_events)
    if sent is None:
        rows = _rows_in(body)
        check_count(len(rows), most_events)
        sent = read_sent(orjson.dumps(rows), most_events=most_events)
    if not has_each_field_once(body, msgspec.json.encode(_RAW_COLUMNS.decode(body))):
        raise UndecodableMessage("not_columns", "a column is given more than once: send it once")
    return sent


def _read_good_columns(body: bytes, most_events: int) -> Sent | None:
    try:
        columns = _COLUMNS.decode(body)
        length = len(columns.prediction)
        check_count(length, most_events)
        for shared in (columns.version, columns.segment):
            if isinstance(shared, str):
                msgspec.convert(shared, SliceText)
        events = list(map(SentEvent, *(_column(getattr(columns, name), length) for name in _ORDER)))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    sent = Sent(events, encode(events))
    return sent if events and all(map(is_model_id, sent.models)) else None


_ORDER = ("model_id", "prediction", "score", "timestamp", "event_id", "version", "segment")


def _column(values: Any, length: int) -> Any:
    """A value for each event.

    Raises:
        ValueError: it has another length.
    """
    if not isinstance(values, list):
        return repeat(values, length)
    if len(values) != length:
        raise ValueError("columns differ in length")
    return values


def _rows_in(body: bytes) -> list[dict[str, Any]]:
    """An object for each event.

    Raises:
        UndecodableMessage: they are not columns of one length.
    """
    try:
        columns: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise UndecodableMessage("not_json", f"the body is not JSON: {err}") from None
    length = len(columns["prediction"])
    for name, values in columns.items():
        if not isinstance(values, list) and name in FIELDS - SHARED:
            raise UndecodableMessage("not_columns", f"{name} must be a list, as prediction is")
        if isinstance(values, list) and len(values) != length:
            known = name if name in FIELDS else "another column"
            detail = f"all columns need the same length: prediction has {length:,} values, {known} {len(values):,}"
            raise UndecodableMessage("not_columns", detail)
    if not length:
        raise UndecodableMessage("no_events", "the columns are empty: send at least one event")
    rows = zip(*(_column(values, length) for values in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]
