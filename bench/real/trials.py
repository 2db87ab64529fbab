"""What is measured of a rule on one stream: a quiet year, and injections from the year's state at their start.

An injection is left out where the quiet year has a live incident at its start: nobody could say whether it was found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.real import injections
from bench.real.alarms import Alarms
from bench.real.counting import Counter
from bench.real.injections import OUTAGE_SECONDS, RAMP_DAYS, Injected
from bench.real.product import REFERENCE_DAYS, Rule, Watch
from bench.real.rivals import DailyWatch, Days, Rival
from bench.real.streams import Events, Stream
from sentryml_common.contracts.monitor import DAY, HOUR

SHARES = (0.2, 0.5)
FOUND_WITHIN_DAYS = (1, 3)
YEAR_DAYS = 365
SHIFT_EVERY, STEP_EVERY, RAMP_EVERY, OUTAGE_EVERY = 8, 60, 60, 32
"""Days between two placements: none is a multiple of a week, so they fall on all days of it."""

STEP_DAYS, OUTAGE_DAYS = 28, 10
MONTH_DAYS = 30

Until = Callable[[Alarms], bool]


class Subject(ABC):
    """A rule on a stream."""

    @abstractmethod
    def quiet_year(self) -> Alarms:
        """What it does when nothing is injected."""

    @abstractmethod
    def injected(self, injected: Injected, since: float, until: float, enough: Until) -> Alarms:
        """What it does with an injection, from the quiet year's state at `since` on, until that is `enough`."""


class Product(Subject):
    """One of SentryML's rules."""

    def __init__(self, rule: Rule, events: Events) -> None:
        self._rule, self._counter = rule, Counter(events)
        self._year = Watch(rule, self._counter)

    def quiet_year(self) -> Alarms:
        """Evaluate the year."""
        first = first_day(self._counter.events)
        for _ in self._year.run(first, first + YEAR_DAYS * DAY):
            pass
        return self._year.alarms

    def injected(self, injected: Injected, since: float, until: float, enough: Until) -> Alarms:
        """Evaluate a changed stream from a state of the year on."""
        counter = Counter(injected.events, self._counter, (injected.start, injected.end))
        watch = Watch(self._rule, counter)
        for _ in watch.run(since, until, self._year.snapshots[since]):
            if enough(watch.alarms):
                break
        return watch.alarms


class Rivals(Subject):
    """A rival's rule."""

    def __init__(self, rival: Rival, events: Events) -> None:
        self._rival, self._events = rival, events

    def quiet_year(self) -> Alarms:
        """Evaluate the year."""
        first = first_day(self._events)
        return DailyWatch(self._rival, Days(self._events)).run(first, first + YEAR_DAYS * DAY)

    def injected(self, injected: Injected, since: float, until: float, enough: Until) -> Alarms:
        """Evaluate each day of a changed stream."""
        return DailyWatch(self._rival, Days(injected.events)).run(since, until)


@dataclass(slots=True)
class Results:
    """What a rule did on a stream. Days and hours are of each injection; a ramp that was not found has None."""

    months: float
    opened: int
    found: dict[tuple[float, int], list[bool]] = field(default_factory=dict)
    steps_found: list[bool] = field(default_factory=list)
    steps_resolved_early: list[bool] = field(default_factory=list)
    ramp_days: list[float | None] = field(default_factory=list)
    healthy_after_hours: list[float] = field(default_factory=list)
    echoes: list[int] = field(default_factory=list)


def try_all(stream: Stream, subject: Subject) -> Results:
    """The quiet year and every injection."""
    year, first = subject.quiet_year(), first_day(stream.events)
    judged_from = first + REFERENCE_DAYS * DAY
    results = Results((YEAR_DAYS - REFERENCE_DAYS) / MONTH_DAYS, sum(at > judged_from for at in year.opened))
    for share in SHARES:
        _try_shifts(results, share, stream.events, subject, year)
    _try_steps(results, stream.events, subject, year)
    _try_ramps(results, stream.events, subject, year)
    if not isinstance(subject, Rivals):
        _try_outages(results, stream.events, subject, year)
    return results


def _try_shifts(results: Results, share: float, events: Events, subject: Subject, year: Alarms) -> None:
    """One day in which a share of the events is of the top tenth."""
    longest = max(FOUND_WITHIN_DAYS)
    for seed, start in _starts(events, SHIFT_EVERY, longest, year):
        injected = injections.shift(events, start, start + DAY, share, seed)
        alarms = subject.injected(injected, start, start + longest * DAY, lambda so_far: bool(so_far.begun))
        for days in FOUND_WITHIN_DAYS:
            found = alarms.first_begun(start, start + days * DAY) is not None
            results.found.setdefault((share, days), []).append(found)


def _try_steps(results: Results, events: Events, subject: Subject, year: Alarms) -> None:
    """A shift that lasts: is it found, and does its incident resolve early?"""
    for seed, start in _starts(events, STEP_EVERY, STEP_DAYS, year):
        until = start + STEP_DAYS * DAY
        alarms = subject.injected(injections.step(events, start, seed), start, until, lambda _: False)
        results.steps_found.append(alarms.first_begun(start, start + max(FOUND_WITHIN_DAYS) * DAY) is not None)
        results.steps_resolved_early.append(bool(alarms.over))


def _try_ramps(results: Results, events: Events, subject: Subject, year: Alarms) -> None:
    """A shift that grows: from when on is an incident live that would not be without it?"""
    for seed, start in _starts(events, RAMP_EVERY, RAMP_DAYS, year):
        alarms = subject.injected(
            injections.ramp(events, start, seed),
            start,
            start + RAMP_DAYS * DAY,
            lambda so_far: any(not year.live_at(at) for at in so_far.begun[-1:]),
        )
        found = next((at for at in alarms.begun if not year.live_at(at)), None)
        results.ramp_days.append(None if found is None else (found - start) / DAY)


def _try_outages(results: Results, events: Events, subject: Subject, year: Alarms) -> None:
    """Four hours of nulls: when is the model healthy again, and does the recovery alarm?"""
    drifting = set(year.drifting)
    for _, day in _starts(events, OUTAGE_EVERY, OUTAGE_DAYS, year):
        injected = injections.outage(events, day)
        alarms = subject.injected(injected, day, day + OUTAGE_DAYS * DAY, lambda _: False)
        more = [at for at in alarms.drifting if at not in drifting]
        results.healthy_after_hours.append(max(0.0, (more[-1] - injected.end) / HOUR) if more else 0.0)
        later = injected.end + DAY + OUTAGE_SECONDS
        results.echoes.append(sum(at > later and not year.live_at(at) for at in alarms.begun))


def first_day(events: Events) -> float:
    """When the first day of a stream begins."""
    return float(events.times[0]) // DAY * DAY


def _starts(events: Events, every: int, days: int, year: Alarms) -> Iterator[tuple[int, float]]:
    """Where to inject something that lasts for `days`: seeds and starts of days, from the end of the fourth week on."""
    first = first_day(events)
    for day in range(REFERENCE_DAYS, YEAR_DAYS - days + 1, every):
        if not year.live_at(first + day * DAY):
            yield day, first + day * DAY
