"""The events of a request as they were sent, and the record that they become.

read_sent   fast: msgspec decodes all events at once. An array goes on as it came where all its events have the same
            fields, each of them once; else they are encoded again; what is refused, or is not the same then, goes on to
parse_events   which accepts it after all, or explains what is wrong
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from sentryml_common.contracts.prediction import (
    BYTE_ORDER_MARK,
    EventIdValue,
    PredictionEvent,
    PredictionValue,
    SliceText,
    TimestampValue,
    check_count,
    is_model_id,
    parse_events,
)

FEW_BYTES = 2_048
BLANKS = b" \t\r\n"
BLANK, COLON, QUOTE = ord(" "), ord(":"), ord('"')
BACKSLASH, ESCAPED_QUOTE = b"\\", b"\\u0022"


class SentEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event with the fields that were sent, null or not: encoded again, it has each of them once."""

    model_id: str
    prediction: PredictionValue
    score: float | UnsetType | None = UNSET
    timestamp: TimestampValue | UnsetType | None = UNSET
    event_id: EventIdValue | UnsetType | None = UNSET
    version: SliceText | UnsetType | None = UNSET
    segment: SliceText | UnsetType | None = UNSET


@dataclass(slots=True)
class Sent:
    """The events of a request, at least one; `models` are theirs, `record` is the JSON array of all of them."""

    events: list[SentEvent]
    record: bytes
    models: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.models = {event.model_id for event in self.events}


_ONE, _MANY = msgspec.json.Decoder(SentEvent), msgspec.json.Decoder(list[SentEvent])
_TYPES = get_type_hints(SentEvent, include_extras=True)
_OPTIONAL = ("score", "timestamp", "event_id", "version", "segment")
encode = msgspec.json.Encoder().encode


def read_sent(body: bytes, *, most_events: int) -> Sent:
    """Read one event or an array of events.

    Raises:
        UndecodableMessage: as `parse_events`.
        TooManyEvents: as `parse_events`.
        InvalidEvents: as `parse_events`.
    """
    return read_good(body, most_events=most_events) or read_or_explain(body, most_events=most_events)


def read_or_explain(body: bytes, *, most_events: int) -> Sent:
    """The same, slowly, with words for what is refused."""
    events = list(map(_as_sent, parse_events(body, most_events=most_events)))
    return Sent(events, encode(events))


def read_good(body: bytes, *, most_events: int) -> Sent | None:
    """The same, fast; None where something is wrong, or may be.

    Raises:
        TooManyEvents: as `parse_events`.
    """
    body = body.removeprefix(BYTE_ORDER_MARK).strip(BLANKS)
    try:
        if body[:1] == b"{":
            sent = _each_field_once(body, [_ONE.decode(body)])
        else:
            sent = _read_alike(body) or _each_field_once(body, _MANY.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a ValidationError is a DecodeError, too
        return None
    if sent is not None:
        check_count(len(sent.events), most_events)
    return sent if sent is not None and all(map(is_model_id, sent.models)) else None


def _each_field_once(body: bytes, events: list[SentEvent]) -> Sent | None:
    sent = Sent(events, encode(events))
    return sent if events and has_each_field_once(body, sent.record) else None


def _read_alike(body: bytes) -> Sent | None:
    """Events that all have the fields of the first one, and no field twice, nor any other: then there are as many names
    of fields as that makes, and the body is the record. None where that is not so."""
    try:
        first = _ONE.decode(body[1 : body.find(b"}") + 1])
        fields = tuple(name for name in _OPTIONAL if getattr(first, name) is not UNSET)
        events = _decoder_of_all_with(fields).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Sent(events, body) if _names_in(body) == len(events) * (2 + len(fields)) else None


@lru_cache
def _decoder_of_all_with(fields: tuple[str, ...]) -> msgspec.json.Decoder[list[SentEvent]]:
    """Decodes events in each of which these fields are required."""
    required = [(name, _TYPES[name]) for name in fields]
    event = msgspec.defstruct(
        "CompleteEvent", required, bases=(SentEvent,), kw_only=True, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(list[event])  # type: ignore[valid-type]


def _names_in(body: bytes) -> int | None:
    """How many names of fields JSON holds, as far as that is certain: a colon after a quote is that of a name. With a
    blank before a colon, or an escape, it may be otherwise."""
    text = np.frombuffer(body, np.uint8)
    before, colons = text[:-1], text[1:] == COLON
    if BACKSLASH in body or np.any(colons & (before <= BLANK)):
        return None
    return int(np.count_nonzero(colons & (before == QUOTE)))


def has_each_field_once(body: bytes, record: bytes) -> bool:
    """Of a field given twice only the last is left, so there are quotes that got lost. A quote written as its number is
    one more in the record, and could hide that."""
    return _quotes(body) == _quotes(record) and (BACKSLASH not in body or ESCAPED_QUOTE not in body)


def _quotes(text: bytes) -> int:
    """How many there are. `bytes.count` goes from one to the next, numpy is faster where they are many."""
    if len(text) < FEW_BYTES:
        return text.count(b'"')
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == QUOTE))


def _as_sent(event: PredictionEvent) -> SentEvent:
    fields: dict[str, Any] = {name: getattr(event, name) for name in event.model_fields_set}
    return SentEvent(**fields)
