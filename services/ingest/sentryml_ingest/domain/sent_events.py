"""The events of a request as they were sent, and the record that they become.

read_sent   fast: msgspec decodes all events at once and encodes them again, which is the record; what it refuses,
            or what is not the same then, goes on to
parse_events   which accepts it after all, or explains what is wrong
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
QUOTE, BACKSLASH, ESCAPED_QUOTE = ord('"'), b"\\", b"\\u0022"


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
encode = msgspec.json.Encoder().encode


def read_sent(body: bytes, *, most_events: int) -> Sent:
    """Read one event or an array of events.

    Raises:
        UndecodableMessage: as `parse_events`.
        TooManyEvents: as `parse_events`.
        InvalidEvents: as `parse_events`.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    try:
        events = [_ONE.decode(body)] if body[:1] == b"{" else _MANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a ValidationError is a DecodeError, too
        events = []
    if events:
        check_count(len(events), most_events)
        sent = Sent(events, encode(events))
        if all(map(is_model_id, sent.models)) and has_each_field_once(body, sent.record):
            return sent
    events = list(map(_as_sent, parse_events(body, most_events=most_events)))
    return Sent(events, encode(events))


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
