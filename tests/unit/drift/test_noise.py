"""Noise: a budget in incidents becomes a floor in PSI, and the floor is what chance does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from sentryml_drift.domain.noise import alpha_for, noise_floor, p_value
from sentryml_drift.domain.psi import divergence

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(("window", "alpha"), [(HOUR, 1.736e-5), (HOUR / 4, 4.34e-6), (DAY, 4.167e-4)])
def test_alpha_follows_budget_and_window(window: float, alpha: float) -> None:
    assert alpha_for(0.1, window) == pytest.approx(alpha, rel=1e-3)


def test_alpha_never_exceeds_one_half() -> None:
    assert alpha_for(1000, 30 * DAY) == 0.5


def test_floor_falls_with_more_data_on_either_side_and_rises_with_bins() -> None:
    assert noise_floor(10, 100_000, 200, 1e-5) == pytest.approx(float(chi2.isf(1e-5, 9)) * (1 / 200 + 1e-5))
    assert noise_floor(10, 100_000, 400, 1e-5) < noise_floor(10, 100_000, 200, 1e-5) < noise_floor(10, 200, 200, 1e-5)
    assert noise_floor(5, 1000, 1000, 1e-5) < noise_floor(10, 1000, 1000, 1e-5)


def test_one_bin_leaves_nothing_to_chance() -> None:
    assert noise_floor(1, 100, 100, 1e-5) == 0.0
    assert p_value(0.0, 1, 100, 100) == 1.0


@pytest.mark.parametrize(("n", "bins"), [(100, 10), (300, 10), (3000, 10), (300, 5)])
def test_without_drift_the_psi_is_as_large_as_theory_says(n: int, bins: int) -> None:
    # Multinomial samples of equal shares; 4,000 trials with a fixed seed.
    random = np.random.default_rng(5)
    shares = np.full(bins, 1 / bins)
    m = 20_000
    there, here = random.multinomial(m, shares, 4000), random.multinomial(n, shares, 4000)
    found = np.array([divergence(b, c).psi for b, c in zip(there.tolist(), here.tolist(), strict=True)])
    assert found.mean() == pytest.approx((bins - 1) * (1 / n + 1 / m), rel=0.08)
    exceeded = float((found > noise_floor(bins, m, n, 0.01)).mean())
    assert exceeded < 0.018
    below = [p_value(psi, bins, m, n) < 0.05 for psi in found.tolist()]
    assert float(np.mean(below)) < 0.07
