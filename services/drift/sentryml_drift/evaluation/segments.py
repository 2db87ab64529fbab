"""The segments of a model, evaluated each by itself where its monitor asks for it.

They are counted in coarse panes alone. So their windows end where the newest whole coarse pane does, and are made of
whole ones:

    all predictions         ├──── baseline ────┼───── current window ─────┤ at
    its segments         ├──── baseline ────┼───── current window ─────┤
    coarse panes         ┼───────────┼───────────┼───────────┼───────────┼───

What is found changes once in a coarse pane, and is a function of the panes, as every evaluation is. Where the current
window is shorter than a coarse pane there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.kept_window import KeptWindow
from sentryml_drift.processor.models import OwnedModel, SlicedSums
from sentryml_drift.processor.slices import Slices, SliceSums, panes_within
from sentryml_statistics.comparison.from_panes import Counted, Seen, Times, count_windows
from sentryml_statistics.comparison.segments import with_segments
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.plan import EvaluationPlan
from sentryml_statistics.time.season import kept_from, season_at
from sentryml_statistics.time.windows import WindowCover, WindowPlan, windows_at


def with_evaluated_segments(
    grid: PaneGrid,
    monitor: Monitor,
    model: OwnedModel,
    sums: SlicedSums,
    at: float,
    facts: ModelFacts,
    evaluation: Evaluation,
) -> Evaluation:
    """The evaluation of a model at a time (epoch seconds), with what is found of each of its segments, where its
    monitor asks for that; else nothing is kept of them."""
    slices = model.slices
    if not slices or not monitor.evaluate_segments:
        sums.evaluated.clear()
        return evaluation
    at = grid.start_of(grid.pane_of(at, Resolution.COARSE), Resolution.COARSE)
    baseline, current = (_in_coarse_panes(each) for each in windows_at(grid, monitor, at, monitor.normal_time))
    if not current.cover.ranges:
        return evaluation
    values = sorted(slices.values(Kind.SEGMENT))
    sums.evaluated = {value: sums.evaluated.get(value) or SliceSums() for value in values}
    oldest, counted = _oldest_kept(grid, monitor, baseline, at), {}
    for value in values:
        seen = _seen(grid, monitor, slices.panes(Kind.SEGMENT, value), oldest, at, facts)
        season = partial(season_at, grid, monitor, at, seen.first or at, at)
        plan = EvaluationPlan(baseline, current, season)
        counted[value] = _counted(grid, monitor, slices, value, sums.evaluated[value], plan, seen)
    return with_segments(evaluation, monitor, counted)


def _in_coarse_panes(plan: WindowPlan) -> WindowPlan:
    ranges = tuple(each for each in plan.cover.ranges if each.resolution is Resolution.COARSE)
    return replace(plan, cover=replace(plan.cover, ranges=ranges))


def _oldest_kept(grid: PaneGrid, monitor: Monitor, baseline: WindowPlan, at: float) -> int:
    """The first coarse pane that is surely kept; older ones may be purged already."""
    kept = grid.pane_of(kept_from(monitor, at), Resolution.COARSE)
    return min([kept, *(each.first for each in baseline.cover.ranges)])


def _seen(grid: PaneGrid, monitor: Monitor, panes: Iterable[int], oldest: int, at: float, facts: ModelFacts) -> Seen:
    """Since when a segment with these panes is there: as long as the model, if it is in the first window's length of
    what is kept."""
    model_first = facts.first_seen or at
    first = min((pane for pane in panes if pane >= oldest), default=oldest) * grid.coarse_seconds
    is_as_old = first < max(oldest * grid.coarse_seconds, model_first) + monitor.current_seconds
    return Seen(model_first if is_as_old else first, facts.first_score)


def _counted(
    grid: PaneGrid, monitor: Monitor, slices: Slices, value: str, sums: SliceSums, plan: EvaluationPlan, seen: Seen
) -> Counted:
    panes = slices.panes(Kind.SEGMENT, value)

    def counts_of(cover: WindowCover) -> PaneCounts:
        return sums.season.of(panes_within(panes, cover))

    def times_of(numbers: NDArray[np.int64]) -> tuple[Times, Times]:
        starts = numbers.astype(np.float64) * grid.coarse_seconds
        return starts, starts + grid.coarse_seconds

    events_of = partial(slices.events, Kind.SEGMENT, value)
    baseline, current = (
        KeptWindow(kept, panes_within(panes, planned.cover), times_of, events_of)
        for kept, planned in ((sums.baseline, plan.baseline), (sums.current, plan.current))
    )
    return count_windows(grid, monitor, plan, seen, (baseline, current), counts_of)
