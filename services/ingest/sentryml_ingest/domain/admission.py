"""Which events are admitted, and how they go on: complete with a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.prediction import MOST_ERRORS, BadField, InvalidEvents
from sentryml_common.text import duration
from sentryml_ingest.domain.sent_events import Sent, SentEvent, encode

DEFAULT_REACH_SECONDS = MonitorSettings().reach_seconds


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Between which times an event counts, in seconds from the time of receipt: as far back as the windows of its
    model's monitor look; nothing older than `longest_window_seconds` is counted, whatever the monitor says.
    """

    future_seconds: float
    longest_window_seconds: float
    monitors: Mapping[str, Monitor]

    def reach(self, model_id: str) -> float:
        """How old an event of a model may be, in seconds."""
        return self.shortest_reach((model_id,))

    def shortest_reach(self, model_ids: Iterable[str]) -> float:
        """How old an event of any of the models may be."""
        monitors = map(self.monitors.get, model_ids)
        reaches = [DEFAULT_REACH_SECONDS if monitor is None else monitor.reach_seconds for monitor in monitors]
        return min(self.longest_window_seconds, *reaches)


def admit(sent: Sent, *, now: datetime, limits: TimeLimits) -> Sent:
    """Give each event without a timestamp the time of receipt; returns the events as they go on.

    Raises:
        InvalidEvents: some would not count, since they lie too far ahead or back; the first of them are named.
    """
    times: list[Any] = [event.timestamp for event in sent.events]
    if _all_between(times, now, limits.shortest_reach(sent.models), limits.future_seconds):
        return sent
    refused = list(islice(_out_of_time(sent.events, now.timestamp(), limits), MOST_ERRORS))
    if refused:
        raise InvalidEvents(refused)
    without_time = [event for event in sent.events if not isinstance(event.timestamp, datetime | float)]
    if not without_time:
        return sent
    for event in without_time:
        event.timestamp = now
    return Sent(sent.events, encode(sent.events))


def _all_between(times: list[Any], now: datetime, reach: float, ahead: float) -> bool:
    """Whether all times lie within the limits, in the least time for what is usual: times of one kind, none missing."""
    at = now.timestamp()
    try:
        return at - reach <= _seconds(min(times)) and _seconds(max(times)) <= at + ahead
    except TypeError:  # some are missing, or they are of both kinds: they cannot be compared
        return False


def _seconds(time: datetime | float) -> float:
    return time.timestamp() if isinstance(time, datetime) else time


def _out_of_time(events: Sequence[SentEvent], now: float, limits: TimeLimits) -> Iterator[BadField]:
    reaches: dict[str, float] = {}
    for index, event in enumerate(events):
        if not isinstance(event.timestamp, datetime | float):
            continue
        at, reach = _seconds(event.timestamp), reaches.get(event.model_id)
        if reach is None:
            reach = reaches[event.model_id] = limits.reach(event.model_id)
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
