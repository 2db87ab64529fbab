"""Slow drift on real histograms: what is compared with the reference, when, and what becomes one."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import Evaluation, Level, Signal
from sentryml_common.contracts.monitor import DAY, HOUR, Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_common.contracts.reference import MOST_BYTES, Reference, ReferenceSource
from sentryml_common.errors import UndecodableMessage
from sentryml_statistics.comparison.bins import bin_counts
from sentryml_statistics.comparison.evaluation import evaluate
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.comparison.slow_drift import fitted, with_slow_drift
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.schedule import compares_slowly, due_at
from tests.unit.drift.test_evaluation import AT, RANDOM, a_baseline, a_window

REFERENCE, ANOTHER = UUID(int=1), UUID(int=2)


def some(events: int, shift: float = 0.0) -> PaneCounts:
    scores = RANDOM.normal(shift, 1, events)
    return PaneCounts.of(["high" if score > 1 else "low" for score in scores], scores.tolist())


def a_reference(counts: PaneCounts, reference_id: UUID = REFERENCE) -> Reference:
    return Reference(
        reference_id=reference_id,
        model_id="flights",
        source=ReferenceSource.UPLOAD,
        made_at=AT,
        events=counts.total,
        counts=b64encode(counts.pack()).decode(),
    )


def compared(
    baseline: PaneCounts,
    current: PaneCounts,
    reference: Reference | None,
    normal: NormalTime = NormalTime(reference_id=REFERENCE),  # noqa: B008  (frozen)
    coverage: float = 1.0,
) -> Evaluation:
    monitor = Monitor(model_id="flights", version=1, normal_time=normal)
    windows = a_baseline(baseline, coverage), a_window(current)
    return with_slow_drift(evaluate("flights", monitor, AT, *windows), monitor, *windows, reference)


def test_a_change_that_no_week_shows_against_the_last_is_seen_against_the_reference() -> None:
    found = compared(some(7_000, 0.35), some(1_000, 0.4), a_reference(some(8_000)))
    assert found.level is Level.OK
    assert found.slow_drift is not None
    assert (found.slow_drift.level, found.slow_drift.reference_id) == (Level.WARN, REFERENCE)
    score = found.slow_drift.signals[0]
    assert (score.signal, score.baseline_count, score.current_count) == (Signal.SCORE, 8_000, 8_000)
    assert score.critical_at is None
    assert found.new_reference is None


def test_the_psi_is_that_of_all_events_of_both_windows_against_the_reference() -> None:
    reference, baseline, current = some(5_000), some(4_000, 0.5), some(900, 0.6)
    found = compared(baseline, current, a_reference(reference)).slow_drift
    assert found is not None
    for each in found.signals:
        recent = baseline.of_signal(each.signal) + current.of_signal(each.signal)
        bins = bin_counts(reference.of_signal(each.signal), recent, 10)
        assert each.psi == divergence([part.baseline for part in bins], [part.current for part in bins]).psi


def test_however_far_it_is_a_warning_at_most() -> None:
    found = compared(some(7_000, 3.0), some(1_000, 3.0), a_reference(some(8_000))).slow_drift
    assert found is not None
    assert found.level is Level.WARN
    assert found.signals[0].psi is not None
    assert found.signals[0].psi > 1


def test_a_sudden_drift_is_no_slow_one() -> None:
    found = compared(some(7_000), some(1_000, 3.0), a_reference(some(8_000)))
    assert (found.level, found.slow_drift) == (Level.CRITICAL, None)


@pytest.mark.parametrize("reference", [None, a_reference(PaneCounts.of(["x"], [0.1]), ANOTHER)])
def test_without_the_reference_that_the_monitor_names_only_this_comparison_is_left_out(
    reference: Reference | None,
) -> None:
    found = compared(some(7_000), some(1_000), reference)
    assert (found.level, found.slow_drift, found.new_reference) == (Level.OK, None, None)


def test_a_reference_whose_counts_cannot_be_read_is_refused() -> None:
    broken = a_reference(some(100)).model_copy(update={"counts": "AAAA"})
    with pytest.raises(UndecodableMessage):
        compared(some(7_000), some(1_000), broken)


def test_a_signal_that_the_reference_has_not_is_not_compared() -> None:
    labels = PaneCounts.of(["low"] * 500 + ["high"] * 100, [None] * 600)
    found = compared(some(7_000), some(1_000), a_reference(labels)).slow_drift
    assert found is not None
    assert [each.signal for each in found.signals] == [Signal.PREDICTION]


def test_signals_without_a_result_are_not_compared() -> None:
    assert compared(some(7_000), some(10), a_reference(some(8_000))).slow_drift is None


def test_where_there_is_none_the_windows_of_an_evaluation_without_drift_become_one() -> None:
    baseline, current = some(7_000), some(1_000)
    evaluation = compared(baseline, current, None, NormalTime())
    proposed = evaluation.new_reference
    assert proposed is not None
    assert PaneCounts.unpack(proposed.packed) == baseline + current
    assert (proposed.events, proposed.source) == (8_000, ReferenceSource.HISTORY)
    assert (proposed.start, proposed.end) == (evaluation.baseline.start, evaluation.current.end)
    assert compared(baseline, current, None, NormalTime()).new_reference == proposed, "the same on every replay"


def test_neither_a_short_baseline_nor_drift_becomes_one() -> None:
    lasting = ExcludedInterval(start=AT - timedelta(days=2), confirmed_at=AT - timedelta(days=1))
    assert compared(some(7_000), some(1_000), None, NormalTime(), coverage=0.98).new_reference is None
    assert compared(some(7_000), some(1_000, 2.0), None, NormalTime()).new_reference is None
    held = NormalTime(revision=1, excluded=(lasting,))
    assert compared(some(7_000), some(1_000), None, held).new_reference is None


def test_a_fine_histogram_is_coarsened_until_it_fits() -> None:
    names = [f"a class with a long name, number {number:06}" * 3 for number in range(1_024)]
    scores = np.linspace(-1e6, 1e6, 1_024).tolist()
    counts = PaneCounts.of(names * 3, scores * 3)
    assert len(counts.pack()) > MOST_BYTES
    coarser = fitted(counts)
    assert len(coarser.pack()) <= MOST_BYTES
    assert coarser.total == counts.total
    assert compared(counts, counts, None, NormalTime()).new_reference is not None


@pytest.mark.parametrize(
    ("every", "current", "turn"),
    [(300, DAY, HOUR), (HOUR, DAY, HOUR), (5400, DAY, HOUR), (7 * 60, DAY, HOUR), (60, 600, 600), (600, 600, 600)],
)
def test_once_in_each_coarse_pane_or_shorter_current_window(every: float, current: float, turn: float) -> None:
    grid = PaneGrid(60.0)
    monitor = Monitor(model_id="m", version=1, every_seconds=every, current_seconds=current)
    newest = due_at(grid, "m", every, AT.timestamp())
    instants = [newest - number * every for number in range(500)]
    compared = [instant // turn for instant in instants if compares_slowly(grid, monitor, instant)]
    turns = {instant // turn for instant in instants}
    assert len(compared) == len(set(compared))
    assert set(compared) >= turns - {min(turns)}
