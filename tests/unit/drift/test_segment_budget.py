"""The false-alarm budget of a model whose segments are evaluated, on seeded streams that do not change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from sentryml_common.contracts.evaluation import Level, Signal
from sentryml_common.contracts.monitor import HOUR, Monitor
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.comparison.from_panes import Counted
from sentryml_statistics.comparison.noise import alpha_for
from sentryml_statistics.comparison.segments import with_segments
from sentryml_statistics.histograms.histogram import EMPTY, Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.windows import WindowCover, WindowPlan

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEGMENTS, CLASSES, ROUNDS = 10, 8, 500
PLAN = WindowPlan(WindowCover(0.0, 1.0, ()), ((0.0, 1.0),))
MONITOR = Monitor(
    model_id="m",
    version=1,
    signals=(Signal.PREDICTION,),
    baseline_seconds=24 * HOUR,
    current_seconds=4 * HOUR,
    warn=1e-9,  # so that chance alone decides
    critical=100.0,
    false_incidents_per_model_month=100,  # so that there is something to count
)


def windows_of(before: Sequence[int], now: Sequence[int]) -> Counted:
    baseline, current = (
        PaneCounts(
            EMPTY, Histogram.of(categories={f"class {label}": count for label, count in enumerate(side) if count})
        )
        for side in (before, now)
    )
    return Counted(Baseline(PLAN, baseline, 1.0), WindowCounts(PLAN, current, 1.0), lambda: None)


def false_alarms(rng: np.random.Generator, rounds: int) -> Counter[str]:
    """How many of some evaluations find drift that is none: in any segment, and there or in the model as a whole. Each
    is of other events, so that they are independent."""
    shares, found = rng.dirichlet(np.full(CLASSES, 6.0), size=SEGMENTS), Counter[str]()
    for _ in range(rounds):
        before, now = (np.array([rng.multinomial(events, each) for each in shares]) for events in (600, 100))
        whole = windows_of(before.sum(axis=0).tolist(), now.sum(axis=0).tolist())
        segments = {
            f"s{n}": windows_of(*each) for n, each in enumerate(zip(before.tolist(), now.tolist(), strict=True))
        }
        plain = evaluate("m", MONITOR, AT, whole.baseline, whole.current)
        both = with_segments(plain, MONITOR, segments)
        found["segments"] += any(each.level is Level.WARN for each in both.segments)
        found["model and segments"] += both.level is Level.WARN
    return found


def test_ten_segments_that_do_not_change_are_taken_for_drift_no_more_often_than_their_model_may_be() -> None:
    found, allowed = false_alarms(np.random.default_rng(5), ROUNDS), alpha_for(MONITOR, 1) * ROUNDS
    assert 0 < found["segments"] <= allowed
    assert found["model and segments"] <= 2 * allowed, "the model's own chance is what it is without segments"
