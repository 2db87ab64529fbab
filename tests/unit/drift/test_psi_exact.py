"""PSI from cells against PSI from the raw numbers, shape by shape: within 0.0005, or 1 % where the PSI is large.

What is the fair exact value? Where no value repeats, the deciles of the raw baseline (`np.quantile`) say it all.
Where values repeat, a decile falls inside a value, and every program decides differently what to do; so there
the reference follows the same rule as ours (values with at least a tenth of the baseline are bins of their own,
other cuts lie between two distinct values, the nearest to the quantile; what has no bin is new), but on the raw
values, without cells. On numbers without repetition the two references agree to the smoothing of one event.
Random mixtures are in `test_psi_properties.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from sentryml_statistics.comparison.bins import bin_counts
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.histograms.histogram import Histogram
from tests.support.exact_psi import Numbers, psi_of_deciles, psi_of_numbers

BINS = 10
BASELINE, CURRENT = 150_000, 100_000


def psi_of_cells(baseline: Numbers, current: Numbers) -> float:
    bins = bin_counts(Histogram.of(baseline), Histogram.of(current), BINS)
    return divergence([each.baseline for each in bins], [each.current for each in bins]).psi


def close(exact: float) -> object:
    return pytest.approx(exact, abs=max(0.0005, 0.01 * exact))


def sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def with_atoms(random: Generator, scores: Numbers, at_0: float, at_1: float) -> Numbers:
    draw = random.random(len(scores))
    return np.where(draw < at_0, 0.0, np.where(draw > 1 - at_1, 1.0, scores))


Shape = Callable[[Generator, int, float], Numbers]

CONTINUOUS: dict[str, Shape] = {  # the shape without drift (0) and with (1)
    "fraud, mass at 0": lambda r, n, drift: r.beta(0.3 + 0.1 * drift, 8, n),
    "mass near 1": lambda r, n, drift: r.beta(8, 0.3 + 0.1 * drift, n),
    "sigmoid(N(6, 2)), mass at 0.99+": lambda r, n, drift: sigmoid(r.normal(6 - drift, 2, n)),
    "U": lambda r, n, drift: r.beta(0.2 + 0.05 * drift, 0.2, n),
    "Beta(2, 5)": lambda r, n, drift: r.beta(2 + 0.4 * drift, 5, n),
    "N(1000, 1)": lambda r, n, drift: r.normal(1000 + 0.5 * drift, 1, n),
    "N(1e6, 10)": lambda r, n, drift: r.normal(1e6 + 5 * drift, 10, n),
    "lognormal": lambda r, n, drift: r.lognormal(0.5 * drift, 1, n),
    "N(0, 1e-3)": lambda r, n, drift: r.normal(0.0005 * drift, 1e-3, n),
    "Cauchy, heavy tails": lambda r, n, drift: r.standard_cauchy(n) + 0.5 * drift,
    "all magnitudes to 1e300": lambda r, n, drift: 10 ** r.uniform(-300 + 40 * drift, 300, n),
}

REPEATING: dict[str, Shape] = {
    "30 % at 0, 20 % at 1": lambda r, n, drift: with_atoms(
        r, r.beta(2, 5 - 0.5 * drift, n), 0.3 - 0.05 * drift, 0.2 + 0.05 * drift
    ),
    "two decimals": lambda r, n, drift: r.beta(2 + 0.4 * drift, 5, n).round(2),
    "one decimal": lambda r, n, drift: r.beta(2 + 0.4 * drift, 5, n).round(1),
    "counts": lambda r, n, drift: r.poisson(3 + 0.5 * drift, n).astype(np.float64),
    "large counts": lambda r, n, drift: r.poisson(5000 + 30 * drift, n).astype(np.float64),
    "labels 0 and 1": lambda r, n, drift: (r.random(n) < 0.2 + 0.05 * drift).astype(np.float64),
    "a constant": lambda r, n, drift: np.full(n, 0.7),
    "a constant that changes": lambda r, n, drift: np.full(n, 0.7 + 0.01 * drift),
    "labels that become probabilities": lambda r, n, drift: (
        r.beta(2, 8, n) if drift else (r.random(n) < 0.2).astype(np.float64)
    ),
}


@pytest.mark.parametrize("drift", [0.0, 1.0])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_psi_is_that_of_the_raw_deciles(name: str, drift: float) -> None:
    shape, random = CONTINUOUS[name], np.random.default_rng(20261123)
    baseline, current = shape(random, BASELINE, 0.0), shape(random, CURRENT, drift)
    exact = psi_of_deciles(baseline, current)
    assert (exact > 0.02) == bool(drift), "the example drifts when it should, and only then"
    assert psi_of_cells(baseline, current) == close(exact)


@pytest.mark.parametrize("drift", [0.0, 1.0])
@pytest.mark.parametrize("name", REPEATING)
def test_psi_of_repeating_values_is_that_of_the_same_bins_on_raw_values(name: str, drift: float) -> None:
    shape, random = REPEATING[name], np.random.default_rng(20261123)
    baseline, current = shape(random, BASELINE, 0.0), shape(random, CURRENT, drift)
    assert psi_of_cells(baseline, current) == close(psi_of_numbers(baseline, current, BINS))


@pytest.mark.parametrize("name", [*CONTINUOUS, *REPEATING])
def test_psi_is_the_same_when_the_current_numbers_come_as_float32(name: str) -> None:
    random = np.random.default_rng(4)
    shape = (CONTINUOUS | REPEATING)[name]
    baseline, current = shape(random, 20_000, 0.0), shape(random, 20_000, 1.0)
    current = np.clip(current, -1e37, 1e37)  # what float32 can hold
    current[np.abs(current) < 1e-37] = 0
    assert psi_of_cells(baseline, current.astype(np.float32).astype(np.float64)) == psi_of_cells(baseline, current)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_both_references_agree_where_nothing_repeats(name: str) -> None:
    random = np.random.default_rng(3)
    baseline, current = CONTINUOUS[name](random, 50_000, 0.0), CONTINUOUS[name](random, 50_000, 1.0)
    assert psi_of_numbers(baseline, current, BINS) == pytest.approx(psi_of_deciles(baseline, current), abs=1e-4)
