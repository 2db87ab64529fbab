"""What evaluating segments by themselves costs, beside an evaluation that names them and compares ten as slices."""

from __future__ import annotations

import statistics
import time

import numpy as np

from bench.drift.evaluation import END, GRID, HOURS, a_model
from bench.report import Figure, say
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.domain.slices import SliceCounts
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.processor.models import OwnedModel
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import Resolution
from sentryml_statistics.time.plan import plan_evaluation

EVENTS_AN_HOUR = 50
STEPS = 24
DRIFTED_HOURS = 24


def a_sliced_model(segments: int, *, drifted: bool) -> OwnedModel:
    """A model with eight days of that number of segments; `drifted`: all of them, for a day."""
    rng, model = np.random.default_rng(1), a_model(EVENTS_AN_HOUR * segments)
    last = GRID.pane_of(END, Resolution.COARSE)
    for number in range(segments):
        for back in range(HOURS + 2):
            target = Target("model", Kind.SEGMENT, last + 1 - back, f"segment {number}")
            scores = rng.beta(4 if drifted and back <= DRIFTED_HOURS else 2, 5, EVENTS_AN_HOUR).tolist()
            counts = PaneCounts.of(["late" if score > 0.3 else "on time" for score in scores], scores)
            first = GRID.start_of(target.pane, Resolution.COARSE)
            model.set(target, ChunkedSum((SliceCounts(first, counts).pack(),)).pack())
    return model


def steps(model: OwnedModel, *, by_themselves: bool) -> tuple[float, float]:
    """CPU seconds of the first evaluation, and the median of those of the two hours after it."""
    monitor = Monitor(model_id="model", version=1, evaluate_segments=by_themselves)
    facts, taken = model.facts(), []
    for step in range(STEPS):
        at = END + 300.0 * step
        plan = plan_evaluation(GRID, monitor, at, facts.first_seen or at, at)
        begun = time.process_time()
        evaluate_model(GRID, monitor, model, model.windows, at, plan, None, facts, model.sums_of_slices())
        taken.append(time.process_time() - begun)
    return taken[0], statistics.median(taken[1:])


def measure() -> list[Figure]:
    """10 and 50 segments, and 50 that all drift."""
    figures = []
    for segments, drifted in ((10, False), (50, False), (50, True)):
        what = f"{segments} segments{', all drifting' if drifted else ''}"
        _, off = steps(a_sliced_model(segments, drifted=drifted), by_themselves=False)
        first, on = steps(a_sliced_model(segments, drifted=drifted), by_themselves=True)
        figures.append(Figure(f"{what}: ms an evaluation, beside it without", on * 1000, off * 1000, on / off))
        figures.append(Figure(f"{what}: ms of the first evaluation", first * 1000))
        say(f"{what}: {on * 1000:.1f} ms, without {off * 1000:.1f} ms, the first {first * 1000:.0f} ms")
    return figures
