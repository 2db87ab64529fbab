"""What `log` was called with, as the JSON of an event. Done by the thread that sends, not by the caller."""

from __future__ import annotations

import json
import math
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One call of `log`."""

    model_id: Any
    prediction: Any
    score: Any
    timestamp: Any
    version: Any
    segment: Any
    event_id: Any


class BadEvent(ValueError):
    """A value cannot be sent."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def encode(event: Event) -> bytes:
    """An event as JSON.

    Raises:
        BadEvent: a value is of a kind that no event has.
    """
    return to_json(fields_of(event))


def to_json(fields: dict[str, Any]) -> bytes:
    """Fields as they are sent."""
    return _encode(fields).encode()


def fields_of(event: Event) -> dict[str, Any]:
    """What an event holds, as plain values; what is None is left out.

    Raises:
        BadEvent: a value is of a kind that no event has.
    """
    fields: dict[str, Any] = {"model_id": _text("model_id", event.model_id)}
    fields["prediction"] = _value("prediction", event.prediction)
    if event.score is not None:
        fields["score"] = _number("score", event.score)
    fields["timestamp"] = _timestamp(event.timestamp)
    for name, value in (("version", event.version), ("segment", event.segment), ("event_id", event.event_id)):
        if value is not None:
            fields[name] = _text(name, value)
    return fields


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadEvent(field, f"must be text, not {_kind(value)}: use str(…)")
    return str(value)


def _value(field: str, value: Any) -> str | bool | int | float:
    value = _plain(value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        return _number(field, value)
    raise BadEvent(field, f"must be text, a number or a boolean, not {_kind(value)}")


def _number(field: str, value: Any) -> int | float:
    value = _plain(value)
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEvent(field, f"must be a number, not {_kind(value)}")
    if not _is_finite(value):
        raise BadEvent(field, "must be a finite number: NaN and infinities are not taken")
    return value


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond all doubles
        return False


def _timestamp(value: Any) -> str | int | float:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadEvent("timestamp", "has no time zone: give it one, or send epoch seconds")
        return value.timestamp()
    return value if isinstance(value, str) else _number("timestamp", value)


def _plain(value: Any) -> Any:
    """The Python value in a scalar of numpy, torch or pandas."""
    if isinstance(value, str | bool | int | float):
        return value
    item = getattr(value, "item", None)
    try:
        return item() if callable(item) else value
    except (TypeError, ValueError, RuntimeError):  # an array of several
        return value


def _kind(value: Any) -> str:
    return type(value).__name__
