"""The rules of an event, for a client whose events nobody else checks: one that breaks them makes the whole record in
Kafka unreadable. Over HTTP ingest says which event it is, and takes the others."""

from __future__ import annotations

import re
from datetime import datetime

from sentryml.events import BadEvent, Event, fields_of, to_json

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
MODEL_ID_RULE = "must be 1 to 128 letters, digits and ._:- and begin with a letter or digit"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LENGTHS = {"prediction": (0, 128), "event_id": (0, 64), "version": (1, 64), "segment": (1, 64)}
EARLIEST, LATEST = 0.0, 253_370_764_800.0  # 1970 and 9999


def encode_checked(event: Event) -> bytes:
    """An event as JSON, if drift can read it.

    Raises:
        BadEvent: it could not.
    """
    fields = fields_of(event)
    if not MODEL_ID.fullmatch(fields["model_id"]):
        raise BadEvent("model_id", MODEL_ID_RULE)
    fields["timestamp"] = _seconds(fields["timestamp"])
    for name, value in fields.items():
        if isinstance(value, str) and name in LENGTHS:
            _check_text(name, value)
    return to_json(fields)


def _check_text(name: str, value: str) -> None:
    least, most = LENGTHS[name]
    if not least <= len(value) <= most:
        raise BadEvent(name, f"must have {least} to {most} characters, not {len(value):,}")
    if name in ("version", "segment") and CONTROL.search(value):
        raise BadEvent(name, "must not hold control characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadEvent(name, "holds half of a surrogate pair, which is no text") from None


def _seconds(value: str | float) -> float:
    seconds = _parsed(value) if isinstance(value, str) else value
    if not EARLIEST <= seconds < LATEST:
        raise BadEvent("timestamp", "must lie between 1970 and 9998 (are these milliseconds?)")
    return float(seconds)


def _parsed(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        seconds = at.timestamp()
    except (ValueError, OverflowError):
        raise BadEvent("timestamp", "must be RFC 3339, such as 2026-11-23T09:15:00Z, or epoch seconds") from None
    if at.tzinfo is None:
        raise BadEvent("timestamp", "has no offset: add one, such as Z")
    return seconds
