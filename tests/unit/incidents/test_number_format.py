"""Figures in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Bin, NewBin, NullBin, OtherBin, Signal
from sentryml_lifecycle.text.number_format import bin_name, psi_line, rate, share_change
from tests.unit.incidents.builders import a_categorical_bin, a_range

SHARES = {"baseline_share": 0.1, "current_share": 0.2, "contribution": 0.07}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (a_range(0.92, 1.0, 0.1, 0.2), "scores 0.92–1.00"),
        (a_range(0.0, 0.03, 0.1, 0.2), "scores 0.00–0.03"),
        (a_range(0.99991, 0.99994, 0.1, 0.2), "scores 0.99991–0.99994"),
        (a_range(None, 0.031, 0.1, 0.2), "scores below 0.03"),
        (a_range(0.97, None, 0.1, 0.2), "scores from 0.97 up"),
        (a_range(None, None, 0.1, 0.2), "all scores"),
        (a_range(12.0, 15.0, 0.1, 0.2), "scores 12–15"),
        (a_range(-250000.0, 1250000.0, 0.1, 0.2), "scores -250000–1250000"),
        (a_range(1.5e12, 2.5e13, 0.1, 0.2), "scores 1.5e+12–2.5e+13"),
        (a_range(0.375, 0.37500003, 0.1, 0.2), "scores at 0.375"),
        (a_range(0.375, math.nextafter(0.375, 1), 0.1, 0.2), "scores at 0.375"),
        (a_range(0.0, 2.0**-1022, 0.1, 0.2), "scores at 0"),
        (a_range(-1e-299, 1e-299, 0.1, 0.2), "scores at 0"),
        (a_range(-3.0, -2.9999998, 0.1, 0.2), "scores at -3"),
        (a_range(1234567.0, 1234567.1, 0.1, 0.2), "scores at 1.23457e+06"),
        (a_categorical_bin("late", 0.1, 0.2), "score “late”"),
        (OtherBin(**SHARES), "all other scores"),
        (NewBin(**SHARES), "scores never seen in the baseline"),
        (NullBin(**SHARES), "no score at all"),
    ],
)
def test_bin_in_words(found: Bin, text: str) -> None:
    assert bin_name(Signal.SCORE, found) == text


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (0.041, 0.19, "4.1 % → 19 %"),
        (0.1001, 0.0412, "10 % → 4.1 %"),
        (0.00002, 0.012, "under 0.1 % → 1.2 %"),
        (0.0, 1.0, "under 0.1 % → 100 %"),
        (0.2503, 0.2541, "25.0 % → 25.4 %"),
        (0.5, 0.5, "50 % → 50 %"),
        (0.09951, 0.0994, "10 % → 9.9 %"),
    ],
)
def test_share_in_words(before: float, now: float, text: str) -> None:
    assert share_change(a_range(0.0, 1.0, before, now)) == text


@pytest.mark.parametrize(
    ("psi", "text"),
    [
        (0.574, "score: PSI 0.57, critical from 0.20"),
        (0.142, "score: PSI 0.14, a warning from 0.10, critical from 0.20"),
        (0.043, "score: PSI 0.04, calm below 0.10"),
        (0.1999, "score: PSI 0.1999, a warning from 0.1000, critical from 0.2000"),
        (0.2, "score: PSI 0.20, critical from 0.20"),
    ],
)
def test_psi_in_words(psi: float, text: str) -> None:
    assert psi_line(Signal.SCORE, psi, 0.1, 0.2) == text


def test_signal_without_figures_says_so() -> None:
    assert "too few" in psi_line(Signal.SCORE, None, None, None)


@given(st.floats(0, 10), st.floats(0.01, 5), st.floats(0.01, 5))
def test_psi_below_a_threshold_never_looks_as_if_it_had_reached_it(psi: float, warn_at: float, more: float) -> None:
    numbers = [
        float(word.strip(","))
        for word in psi_line(Signal.SCORE, psi, warn_at, warn_at + more).split()
        if word[0].isdigit()
    ]
    if psi < warn_at - 1e-7:
        assert numbers[0] < numbers[1]


@pytest.mark.parametrize(
    ("count", "seconds", "says"),
    [(55_895, 61, "916 per second"), (60, 60, "1 per second"), (59, 60, "59 per minute"), (3, 7200, "2 per hour"),
     (1, 7200, "less than one per hour"), (0, 7200, "none"), (5, 0, "less than one per hour")],
)  # fmt: skip
def test_a_rate_is_reported_in_the_smallest_unit_that_leaves_one(count: int, seconds: float, says: str) -> None:
    assert rate(count, seconds) == says
