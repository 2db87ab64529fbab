"""Evaluations: from two windows to a level, with everything that explains it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import (
    Evaluation,
    InsufficientReason,
    Level,
    RangeBin,
    Signal,
    SignalEvaluation,
)
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_statistics.comparison.evaluation import Baseline, SignalStart, WindowCounts, evaluate
from sentryml_statistics.histograms.histogram import EMPTY, Histogram
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts
from sentryml_statistics.time.windows import WindowCover, WindowPlan

AT = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
RANDOM = np.random.default_rng(77)


PLAN = WindowPlan(WindowCover(AT.timestamp() - 3600, AT.timestamp(), ()), ())


def a_window(counts: PaneCounts) -> WindowCounts:
    return WindowCounts(PLAN, counts, 1.0)


def a_baseline(counts: PaneCounts, coverage: float = 1.0, score: SignalStart | None = None) -> Baseline:
    return Baseline(PLAN, counts, coverage, {Signal.SCORE: score} if score else {})


def an_evaluation(baseline: PaneCounts, current: PaneCounts, coverage: float = 1.0, **settings: object) -> Evaluation:
    monitor = Monitor.model_validate({"model_id": "flights-delay", "version": 3, **settings})
    return evaluate("flights-delay", monitor, AT, a_baseline(baseline, coverage), a_window(current))


def of_score(scores: Histogram) -> PaneCounts:
    """Panes in which every prediction was the same, so that the score alone can drift."""
    return PaneCounts(scores, Histogram.of(categories={"ok": scores.total} if scores.total else {}))


def score_of(baseline: Histogram, current: Histogram) -> SignalEvaluation:
    return an_evaluation(of_score(baseline), of_score(current)).signals[0]


def scores(count: int, a: float = 2.0) -> Histogram:
    return Histogram.of(RANDOM.beta(a, 5, count))


def test_equal_distributions_are_ok() -> None:
    found = score_of(scores(50_000), scores(10_000))
    assert found.level is Level.OK
    assert found.psi is not None
    assert found.psi < 0.005
    assert found.p_value is not None
    assert found.p_value > 1e-4
    assert found.overlap == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("shift", "level"), [(2.0, Level.OK), (2.6, Level.WARN), (3.5, Level.CRITICAL)])
def test_level_follows_the_size_of_the_drift(shift: float, level: Level) -> None:
    found = score_of(scores(50_000), scores(10_000, shift))
    assert found.level is level
    assert (found.warn_at, found.critical_at) == (0.1, 0.2)
    assert found.noise_floor is not None
    assert found.noise_floor < 0.1


def test_figures_of_a_signal_add_up() -> None:
    found = score_of(scores(50_000), scores(10_000, 3.5))
    assert (found.baseline_count, found.current_count) == (50_000, 10_000)
    assert sum(each.contribution for each in found.bins) == pytest.approx(found.psi)
    assert sum(each.baseline_share for each in found.bins) == pytest.approx(1)
    assert sum(each.current_share for each in found.bins) == pytest.approx(1)
    assert sum(min(each.baseline_share, each.current_share) for each in found.bins) == pytest.approx(found.overlap)
    assert all(each.contribution >= 0 for each in found.bins)


def test_thresholds_rise_to_the_noise_of_small_samples() -> None:
    found = score_of(scores(50_000), scores(60, 2.6))
    assert found.noise_floor is not None
    assert found.warn_at == found.critical_at == found.noise_floor > 0.2
    assert found.level is Level.OK


def test_a_constant_that_stays_is_ok_and_one_that_changes_is_critical() -> None:
    constant = Histogram.of([0.7] * 5000)
    same, changed = score_of(constant, Histogram.of([0.7] * 500)), score_of(constant, Histogram.of([0.71] * 500))
    assert (same.level, same.psi, same.noise_floor, same.p_value) == (Level.OK, 0.0, 0.0, 1.0)
    assert changed.level is Level.CRITICAL
    assert [each.kind for each in changed.bins] == ["range", "new"]
    assert isinstance(changed.bins[0], RangeBin)
    assert changed.bins[0].lower == pytest.approx(0.7)


def test_a_model_that_sends_text_for_numbers_is_critical() -> None:
    changed = score_of(scores(5000), Histogram.of(categories=["0.5"] * 500))
    assert changed.level is Level.CRITICAL
    assert changed.bins[-1].kind == "new"
    assert changed.bins[-1].current_share > 0.98


def test_a_category_never_seen_before_shows_as_new() -> None:
    changed = score_of(
        Histogram.of(categories={"ok": 4000, "late": 1000}),
        Histogram.of(categories={"ok": 350, "late": 50, "diverted": 100}),
    )
    assert changed.level is Level.CRITICAL
    assert [each.kind for each in changed.bins] == ["category", "category", "new"]
    assert changed.bins[2].contribution == max(each.contribution for each in changed.bins)


def test_nulls_that_appear_are_drift() -> None:
    changed = score_of(scores(5000), Histogram.of(RANDOM.beta(2, 5, 400), nulls=100))
    assert changed.level is Level.CRITICAL
    assert changed.bins[-1].kind == "null"


def test_drift_in_a_long_tail_of_categories_is_seen() -> None:
    # 2,000 names, none of them frequent; then five of them become it.
    names = [f"class {i}" for i in range(2000)]
    baseline = Histogram.of(categories=dict.fromkeys(names, 10))
    same, shifted = Histogram.of(categories=names), Histogram.of(categories=dict.fromkeys(names[:5], 100))
    assert score_of(baseline, same).level is Level.OK
    found = score_of(baseline, shifted)
    assert found.level is Level.CRITICAL
    assert {each.kind for each in found.bins} == {"other"}


def test_a_model_without_scores_has_one_bin_and_no_drift_in_them() -> None:
    found = score_of(Histogram.of(nulls=1000), Histogram.of(nulls=100))
    assert (found.level, found.psi, [each.kind for each in found.bins]) == (Level.OK, 0.0, ["null"])


def test_over_all_signals_the_highest_level_counts() -> None:
    baseline = PaneCounts(scores(5000), Histogram.of(categories={"ok": 4000, "late": 1000}))
    current = PaneCounts(scores(500), Histogram.of(categories={"ok": 100, "late": 400}))
    found = an_evaluation(baseline, current)
    assert [each.level for each in found.signals] == [Level.OK, Level.CRITICAL]
    assert found.level is Level.CRITICAL
    assert an_evaluation(baseline, current, signals=["score"]).level is Level.OK


@pytest.mark.parametrize(
    ("baseline", "current", "coverage", "reason"),
    [
        (5000, 500, 1.0, None),
        (5000, 500, 0.5, None),
        (5000, 500, 0.49, InsufficientReason.WARMING_UP),
        (5000, 49, 1.0, InsufficientReason.TOO_FEW_SAMPLES),
        (49, 5000, 1.0, InsufficientReason.TOO_FEW_SAMPLES),
        (0, 5000, 1.0, InsufficientReason.TOO_FEW_SAMPLES),
        (5000, 0, 1.0, InsufficientReason.NO_DATA),
        # several at once: no data says more than warming up, warming up more than few samples
        (0, 0, 0.0, InsufficientReason.NO_DATA),
        (10, 10, 0.1, InsufficientReason.WARMING_UP),
    ],
)
def test_too_little_data_says_nothing_and_why(
    baseline: int, current: int, coverage: float, reason: InsufficientReason | None
) -> None:
    found = an_evaluation(of_score(scores(baseline)), of_score(scores(current)), coverage)
    assert found.reason is reason
    assert (found.level is Level.INSUFFICIENT_DATA) == (reason is not None)
    if reason:
        for signal in found.signals:
            assert (signal.level, signal.psi, signal.bins) == (Level.INSUFFICIENT_DATA, None, ())
            assert (signal.baseline_count, signal.current_count) == (baseline, current)


def test_fewest_samples_can_be_set() -> None:
    windows = of_score(scores(5000)), of_score(scores(30))
    assert an_evaluation(*windows).reason is InsufficientReason.TOO_FEW_SAMPLES
    assert an_evaluation(*windows, min_samples=30).reason is None
    assert an_evaluation(*windows, bins=6).reason is None


def test_an_evaluation_is_a_function_of_its_input() -> None:
    baseline, current = of_score(scores(5000)), of_score(scores(500, 3.0))
    assert encode(an_evaluation(baseline, current)) == encode(an_evaluation(baseline, current))


def test_the_id_depends_on_model_version_normal_time_and_time_alone() -> None:
    monitor = Monitor(model_id="flights-delay", version=3)
    empty, none = a_window(EMPTY_PANE), a_baseline(EMPTY_PANE)
    first = evaluate("flights-delay", monitor, AT, none, empty).evaluation_id
    assert str(first) == "76efd910-8e8c-50ad-b1e5-0b14faf6202a"
    elsewhere = AT.astimezone(timezone(timedelta(hours=2)))
    assert evaluate("flights-delay", monitor, elsewhere, a_baseline(of_score(scores(9))), empty).evaluation_id == first
    revised = monitor.model_copy(update={"normal_time": NormalTime(revision=1)})
    assert evaluate("flights-delay", revised, AT, none, empty).evaluation_id != first
    assert evaluate("other", monitor, AT, none, empty).evaluation_id != first
    assert evaluate("flights-delay", Monitor(model_id="a", version=4), AT, none, empty).evaluation_id != first


def test_an_evaluation_travels_as_its_contract_says() -> None:
    found = an_evaluation(
        PaneCounts(scores(5000), Histogram.of([1e300] * 4000, {"ok": 500, "x": 1}, 499)),
        PaneCounts(scores(500), Histogram.of([-1e300] * 450, {"new": 50})),
    )
    assert decode(Evaluation, encode(found)) == found
    assert [each.signal for each in found.signals] == [Signal.SCORE, Signal.PREDICTION]
    assert (found.current.start, found.current.end) == (AT - timedelta(hours=1), AT)


def test_window_without_panes_is_reported_as_empty() -> None:
    found = an_evaluation(PaneCounts(EMPTY, EMPTY), PaneCounts(EMPTY, EMPTY))
    assert found.level is Level.INSUFFICIENT_DATA
