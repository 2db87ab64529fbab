"""From a planned evaluation to the evaluation: adds up the panes of its windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.kept_window import KeptWindow
from sentryml_drift.evaluation.segments import with_evaluated_segments
from sentryml_drift.evaluation.slices import with_slices
from sentryml_drift.processor.models import OwnedModel, SlicedSums, WindowSums, read_counts
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts
from sentryml_statistics.comparison.from_panes import Seen, Times, evaluate_panes
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import EvaluationPlan
from sentryml_statistics.time.windows import WindowCover

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
    also of its versions and segments, and of each segment by itself where the monitor asks for it. `facts` are the
    model's, where they have been read already."""
    facts = facts or model.facts()
    baseline, current = (
        KeptWindow(kept, model.panes(planned.cover.ranges), partial(_times_of, grid), model.events)
        for kept, planned in ((sums.baseline, plan.baseline), (sums.current, plan.current))
    )

    def counts_of(cover: WindowCover) -> PaneCounts:
        return merge_panes(map(read_counts, model.panes(cover.ranges).values()))

    seen = Seen(facts.first_seen, facts.first_score)
    compared = evaluate_panes(grid, monitor, at, plan, seen, (baseline, current), counts_of)
    evaluation = compared.evaluation
    if slices is not None:
        evaluation = with_slices(grid, monitor, model, slices, at, compared.baseline, evaluation)
    if slow is not None:
        evaluation = slow(evaluation, monitor, compared.baseline, compared.current)
    if slices is not None:
        evaluation = with_evaluated_segments(grid, monitor, model, slices, at, facts, evaluation)
    return evaluation


def _times_of(grid: PaneGrid, panes: NDArray[np.int64]) -> tuple[Times, Times]:
    lengths = np.where(panes & 3 == Kind.COARSE, grid.coarse_seconds, grid.fine_seconds)
    starts = (panes >> 2).astype(np.float64) * lengths
    return starts, starts + lengths
