"""What can be seen: held against scipy, and against samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.comparison.noise import alpha_for, chance_of
from sentryml_statistics.comparison.power import noncentrality, smallest_shift
from sentryml_statistics.comparison.psi import divergence


@pytest.mark.parametrize("degrees", [1, 2, 9, 19, 99])
@pytest.mark.parametrize("alpha", [0.3, 1e-2, 9e-5, 1e-8])
def test_the_noncentrality_gives_the_power_it_is_named_for(degrees: int, alpha: float) -> None:
    found = noncentrality(degrees, alpha)
    assert scipy.stats.ncx2.sf(scipy.stats.chi2.isf(alpha, degrees), degrees, found) == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(("a_day", "shift"), [(120, 0.40), (240, 0.20), (720, 0.1), (2_880, 0.1)])
def test_with_so_many_events_a_day_such_a_shift_is_seen(a_day: int, shift: float) -> None:
    alpha = alpha_for(MonitorSettings(), signals=2)
    assert smallest_shift(7 * a_day, a_day, 10, alpha, warn=0.1) == pytest.approx(shift, rel=0.05)


def test_samples_of_that_shift_are_found_nine_times_in_ten() -> None:
    random, bins, m, n, alpha = np.random.default_rng(3), 10, 7_000, 1_000, 1e-4
    shares = np.full(bins, 1 / bins)
    tilt = np.linspace(-1, 1, bins)
    target = smallest_shift(m, n, bins, alpha, warn=0.0)
    size = next(each for each in np.linspace(0, 1, 10_001) if _psi(shares, _tilted(shares, tilt, each)) >= target)
    found = 0
    for _ in range(2_000):
        baseline = random.multinomial(m, shares).tolist()
        current = random.multinomial(n, _tilted(shares, tilt, size)).tolist()
        both = divergence(baseline, current)
        found += both.psi >= chance_of(both, m, n, alpha).noise_floor
    assert found / 2_000 == pytest.approx(0.9, abs=0.03)


def _tilted(shares: np.ndarray, tilt: np.ndarray, size: float) -> np.ndarray:
    tilted: np.ndarray = shares * np.exp(size * tilt)
    return tilted / tilted.sum()


def _psi(p: np.ndarray, q: np.ndarray) -> float:
    return float(((q - p) * np.log(q / p)).sum())
