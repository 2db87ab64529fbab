"""Which events are admitted, and how they go on: complete with a time, as one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from sentryml_common.contracts.prediction import MOST_ERRORS, BadField, EventRow, InvalidEvents
from sentryml_common.text import duration


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Between which times an event counts, in seconds from the time of receipt.

    `reach_of` says how far back the windows of a model's monitor look; nothing older than `longest_window_seconds` is
    counted, whatever the monitor says.
    """

    future_seconds: float
    longest_window_seconds: float
    reach_of: Callable[[str], float]


def admit(rows: Sequence[EventRow], *, now: datetime, limits: TimeLimits) -> Sequence[EventRow]:
    """Give each event without a timestamp the time of receipt; returns the same events.

    Raises:
        InvalidEvents: some would not count, since they lie too far ahead or back; the first of them are named.
    """
    refused = list(islice(_out_of_time(rows, now.timestamp(), limits), MOST_ERRORS))
    if refused:
        raise InvalidEvents(refused)
    for row in rows:
        if row.timestamp is None:
            row.timestamp = now
    return rows


def _out_of_time(rows: Sequence[EventRow], now: float, limits: TimeLimits) -> Iterator[BadField]:
    reaches: dict[str, float] = {}
    for index, row in enumerate(rows):
        if row.timestamp is None:
            continue
        at, reach = row.seconds(), reaches.get(row.model_id)
        if reach is None:
            reach = reaches[row.model_id] = min(limits.reach_of(row.model_id), limits.longest_window_seconds)
        if now - reach <= at <= now + limits.future_seconds:
            continue
        reason = _ahead(at - now, limits) if at > now else _back(now - at, reach, limits)
        yield BadField(index=index, field="timestamp", reason=reason)


def _ahead(seconds: float, limits: TimeLimits) -> str:
    return f"is {seconds:.0f} s in the future, more than {limits.future_seconds:g} s: check the sender's clock"


def _back(seconds: float, reach: float, limits: TimeLimits) -> str:
    """What to do about an event that is too old, by what it is too old for."""
    old = f"is {seconds:.0f} s old and would not be counted"
    if reach < limits.longest_window_seconds:
        return f"{old}: the monitor's windows reach back {_span(reach)}; leave it out, or lengthen them first"
    return f"{old}: only events of the last {_span(reach)} are (SENTRYML_LONGEST_WINDOW_SECONDS); leave it out"


def _span(seconds: float) -> str:
    return f"{seconds:.10g} s ({duration(timedelta(seconds=seconds))})"


def encode_events(rows: Sequence[EventRow]) -> bytes:
    """The events as one Kafka record: a JSON array, with fields that were not sent left out."""
    return msgspec.json.encode(rows)


def models_of(rows: Sequence[EventRow]) -> list[str]:
    """The models of a request, each once, in the order of their names."""
    return sorted({row.model_id for row in rows})
