"""From a planned evaluation to the evaluation, by the panes of its windows, as the processor counts them
from the stream, or a backtest from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.evaluation import Evaluation, Signal
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.evaluation import Baseline, SeasonOf, SignalStart, WindowCounts, evaluate
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.coverage import coverage_of, fills_all_parts
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import EvaluationPlan
from sentryml_statistics.time.season import SeasonCounts
from sentryml_statistics.time.windows import WindowCover, existed

Times: TypeAlias = NDArray[np.float64]


class FilledPanes(Protocol):
    """The panes of a window's cover that hold events; their number is its length."""

    def __len__(self) -> int: ...

    def sum(self) -> PaneCounts:
        """What they hold together."""

    def times(self) -> tuple[Times, Times]:
        """When each begins and ends, in epoch seconds."""

    def events_until(self, time: float) -> int:
        """How many events are in those that end by a time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """When a model's first event was, and the first with a score (None: none yet), in epoch seconds."""

    first: float | None
    first_score: float | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Both windows, and the season, which is counted only where it is asked for."""

    baseline: Baseline
    current: WindowCounts
    season: SeasonOf


@dataclass(frozen=True, slots=True)
class Compared:
    """An evaluation, and what it compared."""

    evaluation: Evaluation
    baseline: Baseline
    current: WindowCounts


def evaluate_panes(
    grid: PaneGrid,
    monitor: Monitor,
    at: float,
    plan: EvaluationPlan,
    seen: Seen,
    windows: tuple[FilledPanes, FilledPanes],
    counts_of: Callable[[WindowCover], PaneCounts],
) -> Compared:
    """The evaluation of a model at a time (epoch seconds), as planned. `windows` are the baseline and the current one,
    `counts_of` adds up the panes of a seasonal partner."""
    counted = count_windows(grid, monitor, plan, seen, windows, counts_of)
    evaluated_at = datetime.fromtimestamp(at, UTC)
    evaluation = evaluate(monitor.model_id, monitor, evaluated_at, counted.baseline, counted.current, counted.season)
    return Compared(evaluation, counted.baseline, counted.current)


def count_windows(
    grid: PaneGrid,
    monitor: Monitor,
    plan: EvaluationPlan,
    seen: Seen,
    windows: tuple[FilledPanes, FilledPanes],
    counts_of: Callable[[WindowCover], PaneCounts],
) -> Counted:
    """What an evaluation compares, as planned: that of a model, or of one of its segments."""
    baseline_panes, current_panes = windows
    current = WindowCounts(plan.current, current_panes.sum(), existed(plan.current.spans[0], seen.first))
    baseline = Baseline(
        plan.baseline,
        baseline_panes.sum(),
        _coverage(grid, monitor, plan, baseline_panes),
        _score_start(monitor, plan, baseline_panes, seen.first_score),
    )

    @cache
    def season() -> SeasonCounts | None:
        planned = plan.season()
        return None if planned is None else SeasonCounts(planned, cache(counts_of))

    return Counted(baseline, current, season)


def _coverage(grid: PaneGrid, monitor: Monitor, plan: EvaluationPlan, panes: FilledPanes) -> float:
    if fills_all_parts(grid, plan.baseline, monitor, len(panes)):
        return 1.0
    return coverage_of(plan.baseline.spans, monitor, *panes.times())


def _score_start(
    monitor: Monitor, plan: EvaluationPlan, panes: FilledPanes, first_score: float | None
) -> Mapping[Signal, SignalStart]:
    """The start of the scores, where they began later than the baseline. Predictions are never left out."""
    if first_score is None:
        return {Signal.SCORE: SignalStart(coverage=0.0, events_before=0, sent=False)}
    if first_score <= plan.baseline.cover.start:
        return {}
    starts, ends = panes.times()
    sent = ends > first_score
    coverage = coverage_of(plan.baseline.spans, monitor, starts[sent], ends[sent])
    return {Signal.SCORE: SignalStart(coverage, panes.events_until(first_score))}
