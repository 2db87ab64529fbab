"""Which column is which field of an event, and how its text is read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sentryml.command.rows import Row
from sentryml.command.terminal import USAGE, Failed

FIELDS = ("model_id", "prediction", "score", "timestamp", "version", "segment", "event_id")
USUAL = {
    "model_id": ("model_id", "model", "model_name"),
    "prediction": (
        "prediction", "predicted", "pred", "predicted_label", "predicted_class", "predicted_value", "y_pred", "y_hat",
        "label", "class", "output",
    ),
    "score": ("score", "probability", "proba", "prob", "confidence", "y_score", "y_proba", "prediction_score"),
    "timestamp": ("timestamp", "time", "ts", "datetime", "event_time", "predicted_at", "created_at", "date"),
    "version": ("version", "model_version"),
    "segment": ("segment",),
    "event_id": ("event_id", "prediction_id", "request_id", "id", "uuid"),
}  # fmt: skip
"""What columns are usually called, the best name first."""
MILLISECONDS_FROM = 100_000_000_000
"""Epoch numbers above are milliseconds: as seconds they would lie after the year 5000."""
NO_SCORE = ("", "nan", "null", "none", "na", "n/a")
BOOLEANS = {"true": True, "false": False}


class BadRow(ValueError):
    """A row is no event; the text names the field."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How a row becomes an event."""

    names: Mapping[str, str]
    """The column of each field that has one."""
    model_id: str | None
    prediction_as: str
    time_zone: tzinfo | None
    text: bool
    """Whether all values are text, as in CSV."""

    def event(self, row: Row) -> dict[str, Any]:
        """The event of a row, without the fields that are empty.

        Raises:
            BadRow: it cannot be one.
        """
        if row.error:
            raise BadRow(row.error)
        event = {field: self._value(field, row.values.get(name)) for field, name in self.names.items()}
        if self.model_id is not None:
            event["model_id"] = self.model_id
        missing = [field for field in ("model_id", "prediction") if event.get(field) is None]
        if missing:
            raise BadRow(f"{missing[0]} ({self.names.get(missing[0], '')}) is empty")
        return {field: event[field] for field in FIELDS if event.get(field) is not None}

    def _value(self, field: str, value: Any) -> Any:
        if field == "timestamp":
            return None if value in (None, "") else self._time(value)
        if not self.text or value is None:
            return value
        value = value.strip()
        if field == "score":
            return None if value.lower() in NO_SCORE else _number(field, value)
        if field == "prediction" and value:
            return _prediction(value, self.prediction_as)
        return value or None

    def _time(self, value: Any) -> Any:
        """Epoch seconds."""
        number = _as_number(value)
        if number is not None:
            return number / 1000 if abs(number) >= MILLISECONDS_FROM else number
        try:
            time = datetime.fromisoformat(str(value).strip())
        except ValueError as err:
            raise BadRow(f"timestamp {value!r} is neither RFC 3339 nor epoch seconds") from err
        if time.tzinfo is None:
            if self.time_zone is None:
                raise BadRow(f"timestamp {value!r} has no offset: say which time it is, for example --time-zone UTC")
            time = time.replace(tzinfo=self.time_zone)
        return time.timestamp()


def choose(
    columns: list[str],
    given: Iterable[str],
    *,
    model_id: str | None,
    sample: list[Row],
    prediction_as: str | None,
    time_zone: tzinfo | None,
    text: bool,
) -> Columns:
    """The columns that were named (`field=column`), and the usual names for the others.

    Raises:
        Failed: a field that is needed has no column, or a name is wrong.
    """
    names = _named(columns, given)
    for field in FIELDS:
        if field not in names and not (field == "model_id" and model_id):
            guess = _guess(field, [column for column in columns if column not in names.values()])
            names |= {field: guess} if guess else {}
    if model_id:
        names.pop("model_id", None)
    elif "model_id" not in names:
        raise Failed(f"which model made these? Say --model ID, or --column model_id=NAME; {_there(columns)}", USAGE)
    if "prediction" not in names:
        raise Failed(f"no column looks like the prediction: say --column prediction=NAME; {_there(columns)}", USAGE)
    kind = prediction_as or _kind_of(str(row.values.get(names["prediction"], "")).strip() for row in sample)
    return Columns(names, model_id, kind if text else "as it is", time_zone, text)


def _named(columns: list[str], given: Iterable[str]) -> dict[str, str]:
    names = {}
    for each in given:
        field, _, column = each.partition("=")
        if field not in FIELDS or not column:
            raise Failed(f"--column {each}: say FIELD=NAME, with a field of {', '.join(FIELDS)}", USAGE)
        if column not in columns:
            raise Failed(f"--column {each}: there is no such column; {_there(columns)}", USAGE)
        names[field] = column
    return names


def _there(columns: list[str]) -> str:
    return f"there are: {', '.join(columns)}"


def _guess(field: str, columns: list[str]) -> str | None:
    simple = {re.sub(r"\W+", "_", column.strip().lower()): column for column in reversed(columns)}
    return next((simple[name] for name in USUAL[field] if name in simple), None)


def _kind_of(values: Iterable[str]) -> str:
    found = {value.lower() for value in values if value}
    if found and found <= set(BOOLEANS):
        return "boolean"
    return "number" if found and all(_as_number(value) is not None for value in found) else "text"


def _prediction(value: str, kind: str) -> Any:
    if kind == "number":
        return _number("prediction", value)
    if kind == "boolean":
        if value.lower() not in BOOLEANS:
            raise BadRow(f"prediction {value!r} is neither true nor false: say --prediction-as text")
        return BOOLEANS[value.lower()]
    return value


def _number(field: str, value: str) -> float | int:
    number = _as_number(value)
    if number is None:
        advice = ": say --prediction-as text" if field == "prediction" else ""
        raise BadRow(f"{field} {value!r} is no finite number{advice}")
    return number


def _as_number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (isinstance(value, str) and "_" in value):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
