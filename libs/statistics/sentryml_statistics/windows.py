"""Windows: which panes a look at a model adds up.

A window that is asked for as [start, end) is covered from inside by the union of the whole coarse panes in it
and of fine panes at its ragged ends, as far as those still live (2 h at 60 s):

    asked     start ├─────────────────────────────────────────────────────────────────┤ end
    coarse                 ├───────────┼───────────┼───────────┼───────────┤
    fine             ╷╷╷╷╷╷                                                 ╷╷╷╷╷╷╷╷╷╷
                     dropped if one is no longer alive                      alive: young

So an old end snaps inward to a whole coarse pane. What was really covered is a result, and is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.panes import FINE_PER_COARSE, PaneGrid, Resolution, micros


@dataclass(frozen=True, slots=True)
class PaneRange:
    """The panes first … end − 1 of one resolution."""

    resolution: Resolution
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class WindowCover:
    """Adjacent ranges of panes, in order, and the time they cover: [start, end) in epoch seconds.

    An empty cover has no ranges, and start = end.
    """

    start: float
    end: float
    ranges: tuple[PaneRange, ...]


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What to add up for one window; `coverage` is the part of the asked-for window, from 0 to 1, in which the
    model existed already and was kept."""

    cover: WindowCover
    coverage: float


def cover(grid: PaneGrid, start: float, end: float, now: float) -> WindowCover:
    """Cover [start, end) from inside with the panes that are whole at `now` (all in epoch seconds)."""
    first_live = grid.first_live_fine(now)
    fine_start, fine_end = _whole_panes(grid, start, end, Resolution.FINE)
    coarse_start, coarse_end = _whole_panes(grid, start, end, Resolution.COARSE)
    if coarse_start >= coarse_end:
        return _covering(grid, [PaneRange(Resolution.FINE, max(fine_start, first_live), fine_end)])
    ranges = [PaneRange(Resolution.COARSE, coarse_start, coarse_end)]
    if fine_start >= first_live:
        ranges.insert(0, PaneRange(Resolution.FINE, fine_start, coarse_start * FINE_PER_COARSE))
    if coarse_end * FINE_PER_COARSE >= first_live:
        ranges.append(PaneRange(Resolution.FINE, coarse_end * FINE_PER_COARSE, fine_end))
    return _covering(grid, ranges)


def windows_at(
    grid: PaneGrid,
    monitor: MonitorSettings,
    evaluated_at: float,
    first_seen: float | None,
    now: float | None = None,
    kept_since: float | None = None,
) -> tuple[WindowPlan, WindowPlan]:
    """Plan the baseline and the current window of an evaluation.

        ├───────── baseline ─────────┼── current ──┤
        t − current − baseline       t − current   t = evaluated_at

    `now` says at what time the panes are read, where that is later than `evaluated_at`: by then, fewer fine
    panes are alive. `first_seen` is the model's oldest event, or None; `kept_since` says since when panes have been
    kept for windows of this length, where that is later.
    """
    now = evaluated_at if now is None else max(now, evaluated_at)
    if first_seen is not None and kept_since is not None:
        first_seen = max(first_seen, kept_since)
    border = evaluated_at - monitor.current_seconds
    baseline = _plan(grid, border - monitor.baseline_seconds, border, first_seen, now)
    current = _plan(grid, border, evaluated_at, first_seen, now)
    return baseline, current


def _plan(grid: PaneGrid, start: float, end: float, first_seen: float | None, now: float) -> WindowPlan:
    seen = 0.0 if first_seen is None else (end - max(start, first_seen)) / (end - start)
    return WindowPlan(cover(grid, start, end, now), min(1.0, max(0.0, seen)))


def _whole_panes(grid: PaneGrid, start: float, end: float, resolution: Resolution) -> tuple[int, int]:
    """The whole panes inside [start, end): the first, and the one after the last."""
    length = grid.micros_per_pane(resolution)
    return -(-micros(start) // length), micros(end) // length


def _covering(grid: PaneGrid, ranges: list[PaneRange]) -> WindowCover:
    """Leave out empty ranges; say what the others cover."""
    filled = tuple(each for each in ranges if each.first < each.end)
    if not filled:
        at = grid.start_of(ranges[-1].end, ranges[-1].resolution)
        return WindowCover(at, at, ())
    start = grid.start_of(filled[0].first, filled[0].resolution)
    return WindowCover(start, grid.start_of(filled[-1].end, filled[-1].resolution), filled)
