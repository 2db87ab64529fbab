"""Noise: a budget in incidents becomes a floor in PSI, and the floor is what chance does."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.comparison.noise import alpha_for, chance_of, chances_per_window
from sentryml_statistics.comparison.psi import Divergence, divergence

MINUTE, HOUR, DAY = 60, 3600, 86_400


def a_monitor(window: float, every: float = 5 * MINUTE, budget: float = 0.1) -> MonitorSettings:
    return MonitorSettings(
        current_seconds=window,
        every_seconds=every,
        false_incidents_per_model_month=budget,
    )


def equal_shares(bins: int, m: int, n: int) -> Divergence:
    return divergence([m // bins] * bins, [n // bins] * bins)


@pytest.mark.parametrize(
    ("window", "every", "chances"), [(DAY, DAY, 0.95), (HOUR, 5 * MINUTE, 7.5), (DAY, 5 * MINUTE, 18.7), (DAY, 1, 20)]
)
def test_evaluations_that_share_data_are_fewer_chances(window: float, every: float, chances: float) -> None:
    # 1 a window, 12 and 288; however many, they are never worth more than 20.
    assert chances_per_window(a_monitor(window, every)) == pytest.approx(chances, rel=0.01)


@pytest.mark.parametrize(("window", "alpha"), [(HOUR, 1.852e-5), (HOUR / 4, 1.331e-5), (DAY, 1.782e-4)])
def test_alpha_follows_budget_and_window(window: float, alpha: float) -> None:
    assert alpha_for(a_monitor(window), 1) == pytest.approx(alpha, rel=1e-3)
    assert alpha_for(a_monitor(window, budget=0.2), 1) == pytest.approx(2 * alpha, rel=1e-3)


def test_signals_share_the_budget() -> None:
    assert alpha_for(a_monitor(DAY), 2) == pytest.approx(alpha_for(a_monitor(DAY), 1) / 2)


def test_alpha_never_exceeds_one_half() -> None:
    assert alpha_for(a_monitor(7 * DAY, every=DAY, budget=1000), 1) == 0.5


def test_the_floor_of_a_slight_difference_is_the_textbook_one() -> None:
    slight = divergence([10_050, *[10_000] * 8, 9_950], [100] * 10)
    textbook = float(scipy.stats.chi2.isf(1e-5, 9)) * (1 / 1000 + 1e-5)
    assert chance_of(slight, 100_000, 1000, 1e-5).noise_floor == pytest.approx(textbook, rel=0.01)
    assert chance_of(equal_shares(10, 100_000, 1000), 100_000, 1000, 1e-5).noise_floor == pytest.approx(textbook)


def test_floor_falls_with_more_data_on_either_side_and_rises_with_bins() -> None:
    def floor(bins: int, m: int, n: int) -> float:
        return chance_of(equal_shares(bins, m, n), m, n, 1e-5).noise_floor

    assert floor(10, 100_000, 400) < floor(10, 100_000, 200) < floor(10, 200, 200)
    assert floor(5, 1000, 1000) < floor(10, 1000, 1000)


def test_one_bin_leaves_nothing_to_chance() -> None:
    only = divergence([100], [100])
    assert chance_of(only, 100, 100, 1e-5).noise_floor == 0.0
    assert chance_of(only, 100, 100, 0.01).p_value == 1.0


def test_psi_reaches_the_floor_exactly_when_chance_is_rarer_than_alpha() -> None:
    random = np.random.default_rng(6)
    for baseline, current in zip(random.integers(0, 400, (300, 6)), random.integers(0, 60, (300, 6)), strict=True):
        m, n = int(baseline.sum()), int(current.sum())
        found = divergence(baseline.tolist(), current.tolist())
        for alpha in (1e-2, 1e-9, 1e-30):
            assert (found.psi >= chance_of(found, m, n, alpha).noise_floor) == (
                chance_of(found, m, n, 0.01).p_value <= alpha
            )


def test_a_large_difference_is_no_chance_however_it_looks() -> None:
    changed = divergence([5000, 0], [0, 500])
    assert changed.psi > chance_of(changed, 5000, 500, 1e-12).noise_floor
    assert chance_of(changed, 5000, 500, 0.01).p_value < 1e-100


@pytest.mark.parametrize(
    "shares",
    [[0.1] * 10, [0.05] * 20, [0.45, 0.25, 0.15, 0.12, 0.03], [0.9, 0.1], [0.97, 0.03]],
    ids=["ten equal", "twenty equal", "uneven", "rare label", "rarer label"],
)
@pytest.mark.parametrize("n", [60, 300])
def test_without_drift_chance_exceeds_the_floor_no_more_often_than_it_may(n: int, shares: list[float]) -> None:
    # Of 150,000 samples 150 should exceed it, give or take 12. k·χ² alone would be exceeded up to 9 times as often.
    random = np.random.default_rng(n)
    m, bins, rounds = 7 * n, len(shares), 150_000
    there, here = random.multinomial(m, shares, rounds), random.multinomial(n, shares, rounds)
    exceeded = likelihood_ratios(there, here) >= scipy.stats.chi2.isf(1e-3, bins - 1)
    assert exceeded.mean() < 1.3e-3


def likelihood_ratios(there: np.ndarray, here: np.ndarray) -> np.ndarray:
    """G of many samples at once; the first hundred are compared with the domain's."""
    m, n, bins = int(there[0].sum()), int(here[0].sum()), there.shape[1]
    p, q = (there + 0.5) / (m + bins / 2), (here + 0.5) / (n + bins / 2)
    r = (n * q + m * p) / (n + m)
    ratios: np.ndarray = 2 * (n * q * np.log(q / r) + m * p * np.log(p / r)).sum(axis=1)
    for row in range(100):
        found = divergence(there[row].tolist(), here[row].tolist())
        assert chance_of(found, m, n, 0.01).likelihood_ratio == pytest.approx(ratios[row], rel=1e-9, abs=1e-9)
    return ratios


@pytest.mark.parametrize(("n", "bins"), [(100, 10), (300, 10), (3000, 10), (300, 5)])
def test_without_drift_the_psi_is_as_large_as_theory_says(n: int, bins: int) -> None:
    # Multinomial samples of equal shares; 4,000 trials with a fixed seed.
    random = np.random.default_rng(5)
    shares = np.full(bins, 1 / bins)
    m = 20_000
    there, here = random.multinomial(m, shares, 4000), random.multinomial(n, shares, 4000)
    found = [divergence(b, c) for b, c in zip(there.tolist(), here.tolist(), strict=True)]
    assert np.mean([each.psi for each in found]) == pytest.approx((bins - 1) * (1 / n + 1 / m), rel=0.08)
    exceeded = [each.psi > chance_of(each, m, n, 0.01).noise_floor for each in found]
    assert np.mean(exceeded) < 0.015
    below = [chance_of(each, m, n, 0.01).p_value < 0.05 for each in found]
    assert np.mean(below) < 0.065
