"""The versions and segments in the current window of an evaluation: how many events, since when, and how they differ.

They are counted in coarse panes, so in the whole ones of the window and in the newest, which is not over:

    current window          ├───────────────────────────────────┤ at
    slices              ├───────────┼───────────┼───────────┼───────────┤

So where the current window is shorter than a coarse pane, their counts say little about it, and are not compared. Of a
model without slices, nothing here is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sentryml_common.contracts.evaluation import Evaluation, SliceEvaluation, Slicing
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.partials import Kind
from sentryml_drift.processor.models import OwnedModel, SlicedSums
from sentryml_drift.processor.slices import Slices, SliceSums, panes_within
from sentryml_statistics.comparison.evaluation import Baseline
from sentryml_statistics.comparison.slices import SliceComparison
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import PaneRange

MOST_NAMED = 10
SLICINGS = {Kind.VERSION: Slicing.VERSION, Kind.SEGMENT: Slicing.SEGMENT}


@dataclass(frozen=True, slots=True)
class _Named:
    """A slice that is named: its kind and value, its events in the window, and the time of its first one, where that is
    a beginning (epoch seconds)."""

    kind: Kind
    value: str
    events: int
    began: float | None


def with_slices(
    grid: PaneGrid,
    monitor: Monitor,
    model: OwnedModel,
    sums: SlicedSums,
    at: float,
    baseline: Baseline,
    evaluation: Evaluation,
) -> Evaluation:
    """The evaluation of a model at a time (epoch seconds), with the slices of its current window."""
    slices = model.slices
    if not slices:
        return evaluation
    window = _window(grid, monitor, at)
    whole = sums.whole.of(model.panes([PaneRange(Resolution.COARSE, window.start, window.stop)]))
    named = [each for kind in SLICINGS for each in _named(grid, monitor, model, slices, kind, window, at)]
    judged = evaluation.signals if monitor.current_seconds >= grid.coarse_seconds else ()
    comparison = SliceComparison.of(judged, monitor, baseline, whole)
    sums.of = {key: sums.of.get(key) or SliceSums() for key in ((each.kind, each.value) for each in named)}
    found = tuple(
        _evaluated(each, slices, sums.of[each.kind, each.value], window, baseline, comparison) for each in named
    )
    return evaluation.model_copy(update={"slices": found})


def _window(grid: PaneGrid, monitor: Monitor, at: float) -> range:
    """The coarse panes of the current window: the whole ones, and the newest."""
    end = -int(-at // grid.coarse_seconds)
    first = -int(-(at - monitor.current_seconds) // grid.coarse_seconds)
    return range(min(first, end - 1), end)


def _named(
    grid: PaneGrid, monitor: Monitor, model: OwnedModel, slices: Slices, kind: Kind, window: range, at: float
) -> Iterator[_Named]:
    """The versions, or segments, to be named, the heaviest first: those that have begun in the window, and the
    heaviest."""
    first_seen = model.facts().first_seen or at
    oldest = 1 + max(
        grid.pane_of(first_seen, Resolution.COARSE), grid.pane_of(at - monitor.reach_seconds, Resolution.COARSE)
    )
    found = []
    for value in slices.values(kind):
        events = sum(slices.events(kind, value, pane) for pane in window)
        first = slices.first_event(kind, value)
        if events and first < at:  # else the evaluation is late, and the slice has begun since
            began = first if min(slices.panes(kind, value)) >= oldest else None
            found.append(_Named(kind, value, events, began))
    begins = grid.start_of(window.start, Resolution.COARSE)
    found.sort(key=lambda each: (each.began is None or each.began < begins, -each.events, each.value))
    yield from sorted(found[:MOST_NAMED], key=lambda each: (-each.events, each.value))


def _evaluated(
    named: _Named, slices: Slices, sums: SliceSums, window: range, baseline: Baseline, comparison: SliceComparison
) -> SliceEvaluation:
    panes = slices.panes(named.kind, named.value)
    counts = sums.current.of({pane: panes[pane] for pane in window if pane in panes})
    own = None
    if named.kind is Kind.SEGMENT:
        own = sums.baseline.of(panes_within(panes, baseline.plan.cover))
    return SliceEvaluation(
        slicing=SLICINGS[named.kind],
        value=named.value,
        events=named.events,
        share=min(1.0, named.events / max(1, comparison.whole.total)),
        began=None if named.began is None else datetime.fromtimestamp(named.began, UTC),
        signals=comparison.signals(counts, own),
    )
