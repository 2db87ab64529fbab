"""From a planned evaluation to the evaluation: adds up the panes of its windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.segments import with_evaluated_segments
from sentryml_drift.evaluation.slices import with_slices
from sentryml_drift.processor.models import OwnedModel, Pane, SlicedSums, WindowSums, read_counts
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts
from sentryml_statistics.comparison.from_panes import Seen, Times, evaluate_panes
from sentryml_statistics.histograms.kept_sum import KeptSum
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
        _FilledPanes(grid, model, kept, model.panes(planned.cover.ranges))
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


@dataclass(frozen=True, slots=True)
class _FilledPanes:
    """Panes of a window, and the sum that is kept of it."""

    grid: PaneGrid
    model: OwnedModel
    kept: KeptSum[Pane, bytes]
    panes: Mapping[Pane, bytes]

    def __len__(self) -> int:
        return len(self.panes)

    def sum(self) -> PaneCounts:
        return self.kept.of(self.panes)

    def times(self) -> tuple[Times, Times]:
        packed = np.fromiter(self.panes, dtype=np.int64)
        lengths = np.where(packed & 3 == Kind.COARSE, self.grid.coarse_seconds, self.grid.fine_seconds)
        starts = (packed >> 2).astype(np.float64) * lengths
        return starts, starts + lengths

    def events_until(self, time: float) -> int:
        over = self.times()[1] <= time
        return sum(self.model.events(pane) for pane, before in zip(self.panes, over.tolist(), strict=True) if before)
