"""Whether predictions come: a model's pace from its arrivals, up to the time to which the log has been read.

Silence is not judged beyond that time. So while a combiner is down, or behind, no model becomes silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from sentryml_common.contracts.evaluation import ActivityEvaluation, Level
from sentryml_common.contracts.monitor import DAY, Monitor
from sentryml_statistics.time.pace import SLACK, History, Pace, Panes, least_gap, pace_of
from sentryml_statistics.time.panes import FINE_PER_COARSE, PaneGrid, Resolution

DEFAULT_SEASON = 7 * DAY
LEVELS = {Pace.USUAL: Level.OK, Pace.SILENT: Level.WARN, Pace.UNKNOWN: Level.INSUFFICIENT_DATA}


class Arrived(Protocol):
    """When events of a model came in, and of which times they are."""

    def arrivals(self, first: int, end: int) -> Panes:
        """The fine panes first … end − 1 in which events came in, in order."""

    def coarse_events(self, first: int, end: int) -> Iterable[tuple[int, int]]:
        """Those of the coarse panes first … end − 1 that hold events, and how many."""


def activity_at(
    grid: PaneGrid, monitor: Monitor, model: Arrived, at: float, read_until: float, first_seen: float | None
) -> ActivityEvaluation | None:
    """The activity of a model at a time (epoch seconds), as far as panes of its windows tell; None where none is left.
    The log has been read until `read_until`; `first_seen` is the time of the model's first event."""
    until = min(at, read_until)
    since = -int(-(at - monitor.reach_seconds) // grid.coarse_seconds)
    now = grid.pane_of(until, Resolution.FINE)
    season = monitor.season_seconds or DEFAULT_SEASON
    every = -int(-monitor.every_seconds // grid.fine_seconds)
    pace, active = Pace.USUAL, model.arrivals(now - least_gap(every), now)
    if not active.size:  # else there is no need to read the others
        active = model.arrivals(since * FINE_PER_COARSE, now)
        if not active.size:
            return None
        pace = pace_of(_history(grid, model, active, since, now, first_seen), int(season // grid.fine_seconds), every)
    return ActivityEvaluation(
        level=LEVELS[pace],
        last_received=datetime.fromtimestamp(grid.start_of(int(active[-1]), Resolution.FINE), UTC),
        read_until=datetime.fromtimestamp(until, UTC),
        period_seconds=season,
        usual_per_hour=_usual_per_hour(grid, model, until - season, since),
        volume_ratio=_volume_ratio(grid, monitor, model, at, season, since),
    )


def _history(grid: PaneGrid, model: Arrived, active: Panes, since: int, now: int, first_seen: float | None) -> History:
    return History(
        active=active,
        loaded=_loaded(model, int(active[0]), since),
        since=since * FINE_PER_COARSE,
        complete=first_seen is not None and first_seen >= grid.start_of(since, Resolution.COARSE),
        now=now,
    )


def _loaded(model: Arrived, first: int, since: int) -> Panes:
    """The fine panes before the first arrival in which events lie that came in later. Where they reach into its coarse
    pane, the time there before it is no gap either: at which minute of an hour live events begin says nothing."""
    border = first // FINE_PER_COARSE
    coarse = list(model.coarse_events(since, border))
    if not coarse:
        return np.empty(0, np.int64)
    if coarse[-1][0] == border - 1:
        coarse += model.coarse_events(border, border + 1)
    spread = np.concatenate([_spread(number, events) for number, events in coarse])
    return spread[spread < first]


def _spread(coarse: int, events: int) -> Panes:
    """The fine panes of a coarse one with that number of events, spread evenly: more is not known of their times."""
    filled = min(events, FINE_PER_COARSE)
    found: Panes = coarse * FINE_PER_COARSE + np.arange(filled) * FINE_PER_COARSE // max(1, filled)
    return found


def _usual_per_hour(grid: PaneGrid, model: Arrived, around: float, since: int) -> float | None:
    """Events an hour in the coarse panes around a time; None where they are not all kept. An hour is a coarse pane."""
    slack = SLACK * grid.fine_seconds
    first, end = (grid.pane_of(time, Resolution.COARSE) for time in (around - slack, around + slack))
    if first < since:
        return None
    return _events(model, first, end + 1) / (end + 1 - first) * 3600 / grid.coarse_seconds


def _volume_ratio(
    grid: PaneGrid, monitor: Monitor, model: Arrived, at: float, season: float, since: int
) -> float | None:
    """Events of the current window over those of the same time one season ago, in whole coarse panes."""
    coarse = grid.coarse_seconds
    panes, back = int(monitor.current_seconds // coarse), round(season / coarse)
    end = grid.pane_of(at, Resolution.COARSE)
    first = end - panes - back
    if panes == 0 or back < panes or first < since - 1:  # one more is kept
        return None
    before = _events(model, first, end - back)
    return _events(model, end - panes, end) / before if before else None


def _events(model: Arrived, first: int, end: int) -> int:
    return sum(events for _, events in model.coarse_events(first, end))
