"""Windows: which panes an evaluation adds up.

A window that is asked for as [start, end) is covered from inside by the union of the whole coarse panes in it
and of fine panes at its ragged ends, as far as those still live (2 h at 60 s):

    asked     start ├─────────────────────────────────────────────────────────────────┤ end
    coarse                 ├───────────┼───────────┼───────────┼───────────┤
    fine             ╷╷╷╷╷╷                                                 ╷╷╷╷╷╷╷╷╷╷
                     dropped if one is no longer alive                      alive: young

So an old end snaps inward to a whole coarse pane. A baseline with excluded intervals inside is covered piece by piece.
What was really covered is a result, and is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.normal_time import NormalSpan
from sentryml_statistics.time.normal_time import ALWAYS, Span, held_at, newest_normal
from sentryml_statistics.time.panes import FINE_PER_COARSE, PaneGrid, Resolution, micros


@dataclass(frozen=True, slots=True)
class PaneRange:
    """The panes first … end − 1 of one resolution."""

    resolution: Resolution
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class WindowCover:
    """Ranges of panes, in order, and the time they cover: [start, end) in epoch seconds without `gaps`.

    An empty cover has no ranges, and start = end.
    """

    start: float
    end: float
    ranges: tuple[PaneRange, ...]
    gaps: tuple[Span, ...] = ()

    @property
    def seconds(self) -> float:
        """How much time is covered."""
        return self.end - self.start - sum(end - start for start, end in self.gaps)


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What to add up for one window, and the time that was asked for, oldest span first."""

    cover: WindowCover
    spans: tuple[Span, ...]


def cover(grid: PaneGrid, start: float, end: float, now: float) -> WindowCover:
    """Cover [start, end) from inside with the panes that are whole at `now` (all in epoch seconds)."""
    first_live = grid.first_live_fine(now)
    fine_start, fine_end = _whole_panes(grid, start, end, Resolution.FINE)
    coarse_start, coarse_end = _whole_panes(grid, start, end, Resolution.COARSE)
    if coarse_start >= coarse_end:
        return covering(grid, [PaneRange(Resolution.FINE, max(fine_start, first_live), fine_end)])
    ranges = [PaneRange(Resolution.COARSE, coarse_start, coarse_end)]
    if fine_start >= first_live:
        ranges.insert(0, PaneRange(Resolution.FINE, fine_start, coarse_start * FINE_PER_COARSE))
    if coarse_end * FINE_PER_COARSE >= first_live:
        ranges.append(PaneRange(Resolution.FINE, coarse_end * FINE_PER_COARSE, fine_end))
    return covering(grid, ranges)


def cover_spans(grid: PaneGrid, normal: NormalSpan, spans: Sequence[Span], now: float) -> WindowCover:
    """Cover several spans of normal time, at least one and oldest first, each from inside."""
    covers = [cover(grid, *span, min(now, fine_panes_held_at(grid, normal, span))) for span in spans]
    filled = [each for each in covers if each.ranges] or covers[-1:]
    gaps = tuple((earlier.end, later.start) for earlier, later in pairwise(filled) if earlier.end < later.start)
    ranges = tuple(each for piece in filled for each in piece.ranges)
    return WindowCover(filled[0].start, filled[-1].end, ranges, gaps)


def windows_at(
    grid: PaneGrid, monitor: MonitorSettings, evaluated_at: float, normal: NormalSpan = ALWAYS, now: float | None = None
) -> tuple[WindowPlan, WindowPlan]:
    """Plan the baseline and the current window of an evaluation.

        ├───── baseline, of normal time ─────┼── current ──┤
                                             t − current   t = evaluated_at

    `now` says at what time the panes are read, where that is later than `evaluated_at`: by then, fewer fine
    panes are alive.
    """
    now = evaluated_at if now is None else max(now, evaluated_at)
    border = evaluated_at - monitor.current_seconds
    spans = newest_normal(normal, border, monitor.baseline_seconds) or ((border, border),)
    return _plan(grid, normal, spans, now), _plan(grid, ALWAYS, ((border, evaluated_at),), now)


def fine_panes_held_at(grid: PaneGrid, normal: NormalSpan, span: Span) -> float:
    """The time whose fine panes are kept for a span of normal time that drift has ended; otherwise the baseline of a
    model with short windows would vanish while drift lasts. It is a coarse pane after the confirmation, so that the
    processor has received the confirmation by then."""
    return held_at(normal, span[1]) + grid.coarse_seconds


def existed(span: Span, first_seen: float | None) -> float:
    """The part of a span, from 0 to 1, in which the model existed already."""
    start, end = span
    seen = 0.0 if first_seen is None else (end - max(start, first_seen)) / (end - start)
    return min(1.0, max(0.0, seen))


def _plan(grid: PaneGrid, normal: NormalSpan, spans: tuple[Span, ...], now: float) -> WindowPlan:
    return WindowPlan(cover_spans(grid, normal, spans, now), spans)


def _whole_panes(grid: PaneGrid, start: float, end: float, resolution: Resolution) -> tuple[int, int]:
    """The whole panes inside [start, end): the first, and the one after the last."""
    length = grid.micros_per_pane(resolution)
    return -(-micros(start) // length), micros(end) // length


def covering(grid: PaneGrid, ranges: list[PaneRange]) -> WindowCover:
    """Leave out empty ranges; say what the others cover."""
    filled = tuple(each for each in ranges if each.first < each.end)
    if not filled:
        at = grid.start_of(ranges[-1].end, ranges[-1].resolution)
        return WindowCover(at, at, ())
    start = grid.start_of(filled[0].first, filled[0].resolution)
    return WindowCover(start, grid.start_of(filled[-1].end, filled[-1].resolution), filled)
