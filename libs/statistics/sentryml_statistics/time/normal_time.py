"""Normal time as arithmetic: which stretches of time a baseline is made of.

A model's normal time is all time since its start outside its excluded intervals, those of confirmed drift. The
surveillance of diseases leaves past outbreaks out of its baselines likewise (Noufaily et al., Stat. Med. 32, 2013).

    time       ───────┬────────────────┬────────┬──────────────┬─────
    excluded          │                ├────────┤              │
    baseline          ├─── newest ─────┤        ├── R seconds ─┤ border

All times are epoch seconds; a span is [start, end).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from sentryml_common.contracts.normal_time import ExcludedInterval, NormalSpan, NormalTime

Span = tuple[float, float]

ALWAYS = NormalSpan()


def newest_normal(normal: NormalSpan, end: float, seconds: float) -> tuple[Span, ...]:
    """The newest `seconds` of normal time before `end`, oldest span first; less where normal time began later."""
    found: list[Span] = []
    missing = seconds
    for start, until in _normal_before(normal, end):
        found.append((max(start, until - missing), until))
        missing -= until - found[-1][0]
        if missing <= 0:
            break
    return tuple(reversed(found))


def normal_seconds(normal: NormalSpan, start: float, end: float) -> float:
    """How much of [start, end) is normal time."""
    return sum(max(0.0, until - max(since, start)) for since, until in _normal_before(normal, end) if until > start)


def is_normal(normal: NormalSpan, start: float, end: float) -> bool:
    """Whether all of [start, end) is normal time."""
    return any(since <= start and end <= until for since, until in _normal_before(normal, end))


def held_at(normal: NormalSpan, end: float) -> float:
    """When the drift was confirmed that ended a span of normal time; inf for one that goes on."""
    starts = ((each.start.timestamp(), each.confirmed_at.timestamp()) for each in normal.excluded)
    return next((confirmed_at for start, confirmed_at in starts if start == end), inf)


def as_of(normal: NormalTime, at: float) -> NormalTime:
    """Normal time as it was known at `at`: without the drift that was confirmed later, and with that which had not
    ended. A new normal counts from when it begins, whenever a person accepted it."""
    if normal.since is not None and normal.since.timestamp() > at:
        normal = normal.model_copy(update={"since": None})
    excluded = tuple(_as_of(each, at) for each in normal.excluded if each.confirmed_at.timestamp() < at)
    return normal.model_copy(update={"excluded": excluded})


def _as_of(interval: ExcludedInterval, at: float) -> ExcludedInterval:
    ended = interval.end is not None and interval.end.timestamp() < at
    return interval if ended else interval.model_copy(update={"end": None})


def _normal_before(normal: NormalSpan, end: float) -> Iterator[Span]:
    """The normal time before `end`, newest span first; the last one may begin at -inf."""
    begin = -inf if normal.since is None else normal.since.timestamp()
    until = end
    for interval in reversed(normal.excluded):
        start = max(begin, inf if interval.end is None else interval.end.timestamp())
        if start < until:
            yield start, until
        until = min(until, interval.start.timestamp())
    if begin < until:
        yield begin, until
