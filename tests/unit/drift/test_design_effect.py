"""The design effect: 1 for independent events, and what the differences of days make of it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from sentryml_statistics.comparison.design_effect import design_effect

SHARES = np.array([0.1] * 10)


def days(random: np.random.Generator, correlation: float, count: int = 60, events: int = 1_000) -> list[list[int]]:
    """Days whose shares vary, so that two events of one day are alike with this intra-class correlation."""
    concentration = np.inf if correlation == 0 else (1 - correlation) / correlation
    shares = [SHARES if np.isinf(concentration) else random.dirichlet(SHARES * concentration) for _ in range(count)]
    return [random.multinomial(events, each).tolist() for each in shares]


def test_it_is_pearsons_statistic_by_its_degrees_of_freedom() -> None:
    table = days(np.random.default_rng(1), 0.01, count=7)
    found = scipy.stats.chi2_contingency(table)
    assert design_effect(table) == pytest.approx(found.statistic / found.dof)


def test_independent_events_have_none() -> None:
    assert design_effect(days(np.random.default_rng(2), 0.0)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("correlation", [0.001, 0.005, 0.02])
def test_it_grows_with_the_events_of_a_day_and_how_alike_they_are(correlation: float) -> None:
    table = days(np.random.default_rng(3), correlation, count=300)
    assert design_effect(table) == pytest.approx(1 + 999 * correlation, rel=0.1)


@pytest.mark.parametrize(
    "counts",
    [[], [[5, 5]] * 3, [[5, 5]] * 3 + [[0, 0]], [[5, 0]] * 7],
)
def test_too_few_blocks_or_bins_say_nothing(counts: list[list[int]]) -> None:
    assert design_effect(counts) is None


def test_blocks_and_bins_without_events_do_not_count() -> None:
    table = days(np.random.default_rng(4), 0.01, count=5)
    with_empty = [[*row, 0] for row in table] + [[0] * 11]
    assert design_effect(with_empty) == design_effect(table)


def test_it_is_never_below_one() -> None:
    assert design_effect([[50, 50]] * 10) == 1.0
