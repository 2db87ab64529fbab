"""Coverage: in how much of a baseline's normal time the model sent events.

The normal time is cut into as many equal parts as current windows fit into it, at least one and at most ten. A part
counts when a pane with events lies in it. So one stray old event covers one part, not all the time since.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.time.normal_time import Span
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.windows import WindowPlan

MOST_PARTS = 10
FEWEST_PANES = 4
"""A part of this many coarse panes holds a whole one, also where the window is covered from inside."""


def parts_of(monitor: MonitorSettings) -> int:
    """Into how many parts a baseline is cut."""
    return max(1, min(MOST_PARTS, int(monitor.baseline_seconds / monitor.current_seconds)))


def warm_up_seconds(monitor: MonitorSettings) -> float:
    """How long after its first event a model is compared, if it sends events all the time: the current window has to be
    there, and before it as many parts of the baseline as the monitor asks for. The oldest of them counts from its first
    pane on."""
    parts = parts_of(monitor)
    needed = next(number for number in range(parts + 1) if number / parts >= monitor.min_baseline_coverage)
    return monitor.current_seconds + max(0, needed - 1) * monitor.baseline_seconds / parts


def coverage_of(
    spans: Sequence[Span], monitor: MonitorSettings, starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> float:
    """The part, from 0 to 1, of the asked-for baseline in which there are events.

    `spans` is its normal time, oldest first, which may be shorter than asked for; `starts` and `ends` are those of the
    panes with events that cover it, in epoch seconds and any order.
    """
    if len(starts) == 0:
        return 0.0
    parts = parts_of(monitor)
    part_seconds = monitor.baseline_seconds / parts
    begins, finishes = (_from_the_end(times, spans) / part_seconds for times in (starts, ends))
    # Counted from the young end: the oldest parts are those that may not exist.
    filled = set(((begins + finishes) / 2).astype(np.int64).tolist())
    longer = begins - finishes > 1
    for begin, finish in zip(begins[longer].tolist(), finishes[longer].tolist(), strict=True):
        filled.update(range(int(np.ceil(finish)), int(begin)))
    return len([part for part in filled if 0 <= part < parts]) / parts


def fills_all_parts(grid: PaneGrid, plan: WindowPlan, monitor: MonitorSettings, panes: int) -> bool:
    """Whether `coverage_of` is 1 for sure, from the number of panes with events alone: all panes of an uncut baseline
    have some, and each part is so long that it holds a whole pane."""
    start, end = plan.spans[0]
    return (
        len(plan.spans) == 1
        and panes == sum(each.end - each.first for each in plan.cover.ranges)
        and end - start >= monitor.baseline_seconds >= FEWEST_PANES * grid.coarse_seconds * parts_of(monitor)
    )


def _from_the_end(times: NDArray[np.float64], spans: Sequence[Span]) -> NDArray[np.float64]:
    """How much normal time lies between each time and the end of the last span."""
    if len(spans) == 1:
        inside: NDArray[np.float64] = np.clip(spans[0][1] - times, 0.0, spans[0][1] - spans[0][0])
        return inside
    starts, ends = np.array(spans, dtype=np.float64).T
    lengths = ends - starts
    after = np.concatenate((np.cumsum(lengths[::-1])[::-1][1:], [0.0]))
    at = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(spans) - 1)
    result: NDArray[np.float64] = after[at] + np.clip(ends[at] - times, 0.0, lengths[at])
    return result
