"""When a route holds its alerts: hours of the week and planned windows, in local times of one zone.

Local times become moments only here. Where clocks go forward, a time that does not exist is the moment of the change;
where they go back, a hold begins at the first and ends at the second of two equal times. A hold is the union of all
that touches: a night that ends as a window begins is one hold with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
LONGEST = timedelta(days=31)
"""However periods touch: after this time, what is held is sent."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of days of the week (0 is Monday), in minutes of the day; those that end at or before their start end on
    the next day."""

    days: frozenset[int]
    start: int
    end: int

    @property
    def lasts(self) -> int:
        """How many minutes, by the clock on the wall."""
        return self.end - self.start if self.end > self.start else self.end + DAY_MINUTES - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """A planned window in local times without a zone; again each `every_days`, if that is set, for the models that a
    pattern matches, or for all."""

    begins: datetime
    ends: datetime
    every_days: int | None = None
    model_patterns: tuple[str, ...] = ()

    def is_for(self, model_id: str) -> bool:
        """Whether it is for a model."""
        return not self.model_patterns or any(fnmatchcase(model_id, each) for each in self.model_patterns)


@dataclass(frozen=True, slots=True)
class Weekly:
    """A day of the week (0 is Monday) and a minute of it."""

    day: int
    minute: int

    def newest(self, time_zone: str, at: datetime) -> datetime:
        """The newest moment of it, up to a given one."""
        zone = ZoneInfo(time_zone)
        today = at.astimezone(zone).date()
        # One week further back than any change of the clock reaches.
        days = (today - timedelta(days=(today.weekday() - self.day) % 7 + 7 * weeks) for weeks in range(-1, 3))
        return max(moment for day in days if (moment := moment_of(_on(day, self.minute), zone)) <= at)


@dataclass(frozen=True, slots=True)
class HoldSchedule:
    """When alerts are held; critical ones only with `holds_critical`."""

    time_zone: str = "UTC"
    hours: tuple[Hours, ...] = ()
    windows: tuple[Window, ...] = ()
    holds_critical: bool = False

    @property
    def ever(self) -> bool:
        """Whether it holds at all."""
        return bool(self.hours or self.windows)

    def held_until(self, model_id: str, at: datetime) -> datetime | None:
        """Until when an alert of a model is held that comes at a time; None if it is not held."""
        if not self.ever:
            return None
        zone, until = ZoneInfo(self.time_zone), at
        while until < at + LONGEST:
            ends = [end for start, end in self._around(zone, model_id, until) if start <= until < end]
            if not ends:
                return until if until > at else None
            until = max(ends)
        return at + LONGEST

    def _around(self, zone: ZoneInfo, model_id: str, at: datetime) -> Iterator[Span]:
        """Every period that may contain a moment."""
        local = at.astimezone(zone).replace(tzinfo=None)
        for hours in self.hours:
            # The day before may last until now, and the offset of the zone may change within a day.
            for days in range(-2, 2):
                day = local.date() + timedelta(days=days)
                if day.weekday() in hours.days:
                    start = _on(day, hours.start)
                    yield _span(start, start + timedelta(minutes=hours.lasts), zone)
        for window in self.windows:
            if window.is_for(model_id):
                yield from (_span(start, end, zone) for start, end in _occurrences(window, local))


NEVER = HoldSchedule()


def free_minutes(hours: Sequence[Hours]) -> int:
    """How many minutes of a week are in none of the hours."""
    held: set[int] = set()
    for each in hours:
        for day in each.days:
            start = day * DAY_MINUTES + each.start
            held.update(minute % WEEK_MINUTES for minute in range(start, start + each.lasts))
    return WEEK_MINUTES - len(held)


def moment_of(local: datetime, zone: ZoneInfo, *, second: bool = False) -> datetime:
    """The moment of a local time, in UTC: of two equal ones the first, or the `second`."""
    at = local.replace(tzinfo=zone, fold=int(second)).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return at
    return _change_around(local, zone)


def _change_around(local: datetime, zone: ZoneInfo) -> datetime:
    """When clocks go forward over a local time that does not exist."""
    offsets = [local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    before, after = (
        (local - max(offsets)).replace(tzinfo=UTC),
        (local - min(offsets)).replace(tzinfo=UTC),
    )
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after.replace(microsecond=0)


def _span(start: datetime, end: datetime, zone: ZoneInfo) -> Span:
    return moment_of(start, zone), moment_of(end, zone, second=True)


def _on(day: date, minutes: int) -> datetime:
    return datetime.combine(day, time()) + timedelta(minutes=minutes)


def _occurrences(window: Window, local: datetime) -> Iterator[Span]:
    if window.every_days is None:
        yield window.begins, window.ends
        return
    number = (local - window.begins).days // window.every_days
    for each in range(max(0, number - 1), number + 2):
        later = timedelta(days=each * window.every_days)
        yield window.begins + later, window.ends + later
