"""The seasonal check: is the current window like the same time of last week?

A second comparison guards the first. Where the current window differs from the baseline, it is compared with windows of
the same length one season before, two seasons before, and so on, as far as panes are kept, normal ones first:

    ├── baseline, with partner 1 at its old end ──┼── current ──┤
    ├─partner 1─┤                                 t − c         t          t − c − season … t − season

Both comparisons use the baseline's bins, and the lower level of the two holds. The check counts only where its partner
could have shown a difference of that size: where the noise floor of the second comparison lies below the PSI of the
first. Until then, earlier partners are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import ceil
from zoneinfo import ZoneInfo

from sentryml_common.contracts.evaluation import NoSeason
from sentryml_common.contracts.monitor import DAY, Monitor, MonitorSettings
from sentryml_common.contracts.normal_time import NormalSpan
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.normal_time import Span, is_normal, normal_seconds
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import PaneRange, WindowCover, cover, covering

LEAST_INSIDE = 0.5
"""A partner that whole panes cover by less than this part of its length is covered by all panes that it touches."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A window `periods` seasons before the current one, as panes cover it."""

    periods: int
    cover: WindowCover


@dataclass(frozen=True, slots=True)
class Season:
    """What a seasonal check has to go by: partners, the youngest first, and why there is none. `whole` says whether the
    model has a whole season of normal time."""

    period_seconds: float
    partners: tuple[Partner, ...]
    why_none: NoSeason
    whole: bool


@dataclass(frozen=True, slots=True)
class SeasonCounts:
    """A season, and how the counts of a partner's panes are found."""

    season: Season
    counts: Callable[[WindowCover], PaneCounts]


def season_at(grid: PaneGrid, monitor: Monitor, evaluated_at: float, first_seen: float, now: float) -> Season | None:
    """Plan the seasonal check of an evaluation, from the panes that exist at `now`; None where the monitor has
    none."""
    if monitor.season_seconds is None:
        return None
    period = _period(monitor)
    if period is None:
        return Season(monitor.season_seconds, (), NoSeason.BASELINE_TOO_SHORT, whole=True)
    normal = monitor.normal_time
    since = first_seen if normal.since is None else max(first_seen, normal.since.timestamp())
    oldest = max(kept_from(monitor, evaluated_at), since) - grid.coarse_seconds
    spans = list(_partner_spans(monitor, period, evaluated_at, oldest))
    chosen = [each for each in spans if is_normal(normal, *each[1])]
    rhythm = _with_what_may_be_rhythm(normal, period / 2 + monitor.current_seconds)
    chosen += [each for each in spans if each not in chosen and is_normal(rhythm, *each[1])]
    asked = _first_period(monitor, period) * period + monitor.current_seconds
    whole = normal_seconds(rhythm, since, evaluated_at) >= asked - grid.coarse_seconds
    return Season(
        period,
        tuple(Partner(periods, _cover(grid, span, now)) for periods, span in chosen),
        NoSeason.NOT_NORMAL if spans and not chosen else NoSeason.NOT_YET,
        whole,
    )


def kept_from(monitor: Monitor, now: float) -> float:
    """Since when panes of any time are kept: as far as the windows reach and, once there has been drift, one season
    further, so that there is a week behind one that drifted."""
    reach = now - monitor.reach_seconds
    excluded = monitor.normal_time.excluded
    if monitor.season_seconds is None or not excluded:
        return reach
    first_heard = min(each.confirmed_at for each in excluded).timestamp()
    return max(reach - monitor.season_seconds, first_heard - monitor.reach_seconds)


def _with_what_may_be_rhythm(normal: NormalSpan, longest: float) -> NormalSpan:
    """Normal time, and drift that was over within half a season beside the window that it began with: that may be how
    the model's week is. Without it, a weekend once taken for drift could not explain the next one. While drift lasts,
    only normal time: an incident may resolve only if the data match that."""
    if not normal.excluded or normal.drift_lasts:
        return normal
    kept = tuple(each for each in normal.excluded if each.end and (each.end - each.start).total_seconds() > longest)
    return NormalSpan(since=normal.since, excluded=kept)


def _period(monitor: MonitorSettings) -> float | None:
    """The season that the baseline is long enough for: the monitor's, or else, for windows shorter than a day and a
    season of days, one day."""
    season = monitor.season_seconds
    if season is None or monitor.baseline_seconds >= _first_period(monitor, season) * season:
        return season
    days = season % DAY == 0 and monitor.current_seconds < DAY <= monitor.baseline_seconds
    return float(DAY) if days else None


def _first_period(monitor: MonitorSettings, period: float) -> int:
    """How many periods ago the youngest window is that does not overlap the current one."""
    return ceil(monitor.current_seconds / period)


def _partner_spans(
    monitor: MonitorSettings, period: float, evaluated_at: float, oldest: float
) -> Iterator[tuple[int, Span]]:
    for periods in count(_first_period(monitor, period)):
        end = _earlier(evaluated_at, periods * period, monitor.time_zone)
        start = end - monitor.current_seconds
        if start < oldest:
            return
        yield periods, (start, end)


def _earlier(time: float, seconds: float, time_zone: str) -> float:
    """The time some whole days before on the clock of the time zone; for other lengths simply that much earlier."""
    if seconds % DAY or time_zone == "UTC":
        return time - seconds
    local = datetime.fromtimestamp(time, ZoneInfo(time_zone))
    return (local - timedelta(seconds=seconds)).astimezone(UTC).timestamp()


def _cover(grid: PaneGrid, span: Span, now: float) -> WindowCover:
    """Cover a partner from inside, or where little is left of it then, by all coarse panes that it touches."""
    start, end = span
    inside = cover(grid, start, end, now)
    if inside.seconds >= LEAST_INSIDE * (end - start):
        return inside
    first, last = grid.pane_of(start, Resolution.COARSE), -int(-end // grid.coarse_seconds)
    return covering(grid, [PaneRange(Resolution.COARSE, first, last)])
