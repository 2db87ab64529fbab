"""The events in a foreign JSON document. What no path leads to is dropped here.

What is said of a document that cannot be used is made of configured paths, types and rules: no value of it, and no name
that its sender made up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import orjson

from sentryml_common.contracts.prediction import PredictionValue, SliceText, TimestampValue, is_model_id
from sentryml_tap.domain.paths import NAMES, REQUIRED, FieldMapping, Path

MOST_EVENTS = 10_000
"""In one document."""
LATEST_SECONDS = 1e11
"""A larger number is no epoch seconds (the year 5138), but milliseconds, microseconds or nanoseconds."""


class Reason(StrEnum):
    """Why something was dropped, though an event was expected."""

    NOT_JSON = "not_json"
    NOT_CLOUDEVENT = "not_cloudevent"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    TOO_MANY_EVENTS = "too_many_events"
    REFUSED = "refused"


class Fault(NamedTuple):
    """Why; `text` holds nothing of the document."""

    reason: Reason
    text: str


class Unusable(Exception):
    """A document, or one event of it, cannot be used."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(reason, text)


class TappedEvent(NamedTuple):
    """An event as it goes on."""

    model_id: str
    json: bytes


@dataclass(slots=True)
class Reading:
    """What was found: events, and the faults of those that could not be used."""

    events: list[TappedEvent] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def loads(body: bytes) -> Any:
    """A JSON document; NaN and infinities are taken, since they may be where no path leads.

    Raises:
        Unusable: it is none.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable(Reason.NOT_JSON, "is not JSON") from None


def read(body: bytes, mapping: FieldMapping, received_at: float) -> Reading:
    """The events of a document that is still bytes."""
    try:
        return read_document(loads(body), mapping, received_at)
    except Unusable as err:
        return Reading(faults=[err.fault])


def read_document(document: Any, mapping: FieldMapping, received_at: float) -> Reading:
    """The events of a document; those without a timestamp are of `received_at`, epoch seconds.

    Raises:
        Unusable: there is nothing where the predictions are expected, or too much.
    """
    reading = Reading()
    for index in range(_count(document, mapping["prediction"])):
        try:
            reading.events.append(_event(document, mapping, index, received_at))
        except Unusable as err:
            reading.faults.append(err.fault)
    return reading


def _count(document: Any, prediction: Path | str) -> int:
    """How many events there are."""
    if isinstance(prediction, str) or prediction.each is None:
        return 1
    found = _at(document, prediction.steps)
    if not isinstance(found, list):
        raise _unusable("prediction", prediction, found, "must be an array where the path has *")
    if len(found) > MOST_EVENTS:
        raise Unusable(Reason.TOO_MANY_EVENTS, f"has more than {MOST_EVENTS:,} predictions")
    return len(found)


def _event(document: Any, mapping: FieldMapping, index: int, received_at: float) -> TappedEvent:
    fields = {name: _value(name, where, document, index) for name, where in mapping.items()}
    if fields.get("timestamp") is None:
        fields["timestamp"] = received_at
    sent = {name: value for name, value in fields.items() if value is not None}
    return TappedEvent(fields["model_id"], msgspec.json.encode(sent))


def _value(name: str, where: Path | str, document: Any, index: int) -> Any:
    """The value of a field; None where it may be missing and is.

    Raises:
        Unusable: it is missing, or no such field may hold it.
    """
    found = where if isinstance(where, str) else _found(document, where, index)
    if found is MISSING or found is None or (found == "" and name != "prediction"):
        if name in REQUIRED:
            raise _unusable(name, where, found, RULES[name])
        return None
    try:
        return _checked(name, found)
    except (msgspec.ValidationError, ValueError, ArithmeticError):
        raise _unusable(name, where, found, RULES[name]) from None


def _found(document: Any, path: Path, index: int) -> Any:
    found = _at(document, path.steps)
    if path.each is not None:
        found = _at(found[index], path.each) if isinstance(found, list) and index < len(found) else MISSING
    while isinstance(found, list) and len(found) == 1:  # how many servers give a model's one output
        found = found[0]
    return found


def _at(found: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif (
            isinstance(found, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(found)
        ):
            found = found[int(step)]
        else:
            return MISSING
    return found


def _checked(name: str, found: Any) -> Any:
    """The value as the contract of events has it."""
    if isinstance(found, str):
        found.encode()  # half of a surrogate pair cannot be sent
    elif isinstance(found, float) and not math.isfinite(found):
        raise ValueError
    elif isinstance(found, int) and not isinstance(found, bool) and name in NAMES:
        found = str(found)
    if name == "timestamp" and isinstance(found, int | float) and not isinstance(found, bool):
        found = _seconds(found)
    value = msgspec.convert(found, TYPES[name])
    if name == "model_id" and not is_model_id(value):
        raise ValueError
    return value


def _seconds(time: float) -> float:
    for _ in range(3):
        time = time / 1_000 if time >= LATEST_SECONDS else time
    return time


def _unusable(name: str, where: Path | str, found: Any, rule: str) -> Unusable:
    place = "is a constant" if isinstance(where, str) else f"at {where.text} is {_kind(found)}"
    reason = Reason.MISSING_FIELD if found is MISSING or found is None else Reason.INVALID_FIELD
    return Unusable(reason, f"{name} {place}: it {rule}")


def _kind(found: Any) -> str:
    return next((name for kind, name in KINDS if isinstance(found, kind)), "null")


class _Missing:
    """Nothing is there; null is something else."""


MISSING = _Missing()
KINDS: tuple[tuple[type, str], ...] = (
    (_Missing, "missing"), (bool, "a boolean"), (str, "text"), (int, "a number"), (float, "a number"),
    (list, "an array"), (dict, "an object"),
)  # fmt: skip
TYPES: dict[str, Any] = {
    "model_id": str,
    "prediction": PredictionValue,
    "score": float,
    "timestamp": TimestampValue,
    "version": SliceText,
    "segment": SliceText,
}
_SLICE = "must be text of 1 to 64 characters without control characters, or an integer"
RULES = {
    "model_id": "must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    "prediction": "must be text of at most 128 characters, a finite number, or a boolean",
    "score": "must be a finite number or null",
    "timestamp": "must be RFC 3339 with an offset, or a number of epoch seconds, milliseconds or nanoseconds",
    "version": _SLICE,
    "segment": _SLICE,
}
