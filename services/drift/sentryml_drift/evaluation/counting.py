"""From a planned evaluation to the evaluation: adds up the panes of its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.evaluation import Evaluation, Signal
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.slices import with_slices
from sentryml_drift.processor.models import OwnedModel, Pane, SlicedSums, WindowSums, read_counts
from sentryml_statistics.comparison.evaluation import Baseline, SignalStart, WindowCounts, evaluate
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.coverage import coverage_of, fills_all_parts
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import EvaluationPlan
from sentryml_statistics.time.season import SeasonCounts
from sentryml_statistics.time.windows import WindowCover, WindowPlan, existed

Times = NDArray[np.float64]
SlowComparison = Callable[[Evaluation, Monitor, Baseline, WindowCounts], Evaluation]


def evaluate_model(
    grid: PaneGrid,
    monitor: Monitor,
    model: OwnedModel,
    sums: WindowSums,
    at: float,
    plan: EvaluationPlan,
    slow: SlowComparison | None = None,
    facts: ModelFacts | None = None,
    slices: SlicedSums | None = None,
) -> Evaluation:
    """The evaluation of a model at a time (epoch seconds), as planned; with `slow`, also of slow drift, with `slices`,
    also of its versions and segments. `facts` are the model's, where they have been read already."""
    facts = facts or model.facts()
    current = WindowCounts(
        plan.current,
        sums.current.of(model.panes(plan.current.cover.ranges)),
        existed(plan.current.spans[0], facts.first_seen),
    )
    panes = model.panes(plan.baseline.cover.ranges)
    baseline = Baseline(
        plan.baseline,
        sums.baseline.of(panes),
        _coverage(grid, monitor, plan.baseline, panes),
        _score_start(grid, monitor, model, plan.baseline, panes, facts.first_score),
    )
    at_time, season = datetime.fromtimestamp(at, UTC), cache(partial(_season, plan, model))
    evaluation = evaluate(monitor.model_id, monitor, at_time, baseline, current, season)
    if slices is not None:
        evaluation = with_slices(grid, monitor, model, slices, at, baseline, evaluation)
    return evaluation if slow is None else slow(evaluation, monitor, baseline, current)


def _season(plan: EvaluationPlan, model: OwnedModel) -> SeasonCounts | None:
    season = plan.season()
    return None if season is None else SeasonCounts(season, _counts_in(model))


def _coverage(grid: PaneGrid, monitor: Monitor, plan: WindowPlan, panes: Mapping[Pane, bytes]) -> float:
    if fills_all_parts(grid, plan, monitor, len(panes)):
        return 1.0
    return coverage_of(plan.spans, monitor, *_times(grid, panes))


def _times(grid: PaneGrid, panes: Iterable[Pane]) -> tuple[Times, Times]:
    """When each pane begins and ends, in epoch seconds."""
    packed = np.fromiter(panes, dtype=np.int64)
    lengths = np.where(packed & 3 == Kind.COARSE, grid.coarse_seconds, grid.fine_seconds)
    starts = (packed >> 2).astype(np.float64) * lengths
    return starts, starts + lengths


def _score_start(
    grid: PaneGrid,
    monitor: Monitor,
    model: OwnedModel,
    plan: WindowPlan,
    panes: Iterable[Pane],
    first_score: float | None,
) -> Mapping[Signal, SignalStart]:
    """The start of the scores, where they began later than the baseline. Predictions are never left out."""
    if first_score is None:
        return {Signal.SCORE: SignalStart(coverage=0.0, events_before=0, sent=False)}
    if first_score <= plan.cover.start:
        return {}
    starts, ends = _times(grid, panes)
    sent = ends > first_score
    before = [pane for pane, sent_in in zip(panes, sent.tolist(), strict=True) if not sent_in]
    coverage = coverage_of(plan.spans, monitor, starts[sent], ends[sent])
    return {Signal.SCORE: SignalStart(coverage, sum(map(model.events, before)))}


def _counts_in(model: OwnedModel) -> Callable[[WindowCover], PaneCounts]:
    """How the panes of a cover are added up, each cover once."""

    @cache
    def counts(cover: WindowCover) -> PaneCounts:
        return merge_panes(map(read_counts, model.panes(cover.ranges).values()))

    return counts
