"""The χ² tail against scipy, which only tests use."""

from __future__ import annotations

import math

import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_statistics.comparison.chi_square import inverse_survival, survival


@given(st.floats(0, 600), st.integers(1, 300))
@settings(max_examples=300)
def test_survival_is_scipys(x: float, df: int) -> None:
    assert survival(x, df) == pytest.approx(float(scipy.stats.chi2.sf(x, df)), rel=1e-9, abs=1e-300)


@given(st.floats(-290, -0.31), st.integers(1, 300))
@settings(max_examples=300)
def test_inverse_survival_is_scipys(exponent: float, df: int) -> None:
    probability = 10**exponent
    assert inverse_survival(probability, df) == pytest.approx(float(scipy.stats.chi2.isf(probability, df)), rel=1e-9)


@given(st.floats(1e-12, 0.99), st.integers(1, 300))
def test_they_undo_each_other(probability: float, df: int) -> None:
    assert survival(inverse_survival(probability, df), df) == pytest.approx(probability, rel=1e-9)


def test_values_from_the_tables() -> None:
    assert inverse_survival(0.05, 1) == pytest.approx(3.841459, abs=1e-6)
    assert inverse_survival(0.01, 9) == pytest.approx(21.665994, abs=1e-6)
    assert survival(2 * math.log(2), 2) == pytest.approx(0.5)
    assert survival(0, 5) == 1.0
    assert survival(1e5, 9) == 0.0
