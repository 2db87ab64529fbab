"""Bins: made from the baseline alone, never splitting an atom, with a place for what was never seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_statistics.comparison.bins import BinCounts, bin_counts
from sentryml_statistics.histograms.histogram import EMPTY, Histogram

RANDOM = np.random.default_rng(8)


def named(bins: list[BinCounts]) -> dict[str, tuple[int, int]]:
    """Counts by kind, or by the category's name."""
    return {each.value or each.kind: (each.baseline, each.current) for each in bins if each.kind != "range"}


def ranges(bins: list[BinCounts]) -> list[BinCounts]:
    return [each for each in bins if each.kind == "range"]


def test_smooth_numbers_have_ten_bins_of_equal_share_from_minus_to_plus_infinity() -> None:
    bins = bin_counts(Histogram.of(RANDOM.normal(0, 1, 100_000)), EMPTY, 10)
    assert len(bins) == 10
    assert bins[0].lower is None
    assert bins[-1].upper is None
    assert all(left.upper == right.lower for left, right in pairwise(bins))
    assert all(each.baseline == pytest.approx(10_000, rel=0.1) for each in bins)


@given(st.integers(0, 2**32), st.sampled_from([2, 5, 10, 20]))
@settings(max_examples=30)
def test_counts_are_those_of_the_raw_numbers_between_the_edges(seed: int, bins: int) -> None:
    random = np.random.default_rng(seed)
    baseline = random.normal(0, 2, 2000).round(int(random.integers(0, 6)))
    current = random.normal(0.5, 2, 1500).round(int(random.integers(0, 6)))
    found = ranges(bin_counts(Histogram.of(baseline), Histogram.of(current), bins))
    for each in found:
        lower = -np.inf if each.lower is None else each.lower
        upper = np.inf if each.upper is None else each.upper
        assert each.baseline == ((baseline >= lower) & (baseline < upper)).sum()
        assert each.current == ((current >= lower) & (current < upper)).sum()
    assert sum(each.baseline for each in found) == len(baseline)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_one_outlier_in_the_current_window_moves_no_bin(seed: int) -> None:
    random = np.random.default_rng(seed)
    baseline, current = random.beta(2, 5, 5000), random.beta(2, 5, 900)
    calm = ranges(bin_counts(Histogram.of(baseline), Histogram.of(current), 10))
    wild = ranges(bin_counts(Histogram.of(baseline), Histogram.of(np.append(current, 1e4)), 10))
    # The outlier can cost cells a bit of precision, so edges may move by a cell, bins by a few counts.
    assert len(calm) == len(wild)
    assert all(abs(one.baseline - other.baseline) < 100 for one, other in zip(calm, wild, strict=True))


def test_atoms_are_bins_of_their_own() -> None:
    # 30 % at 0, 20 % at 1, half between them
    baseline = Histogram.of(np.concatenate([np.zeros(3000), np.ones(2000), RANDOM.beta(2, 5, 5000)]))
    bins = bin_counts(baseline, EMPTY, 10)
    assert (bins[0].lower, bins[0].baseline) == (0.0, 3000)
    assert (bins[-1].lower, bins[-1].baseline) == (1.0, 2000)
    assert len(bins) == 7
    assert all(each.baseline == pytest.approx(1000, rel=0.05) for each in bins[1:-1])


def test_numbers_where_the_baseline_has_none_are_new() -> None:
    labels = Histogram.of([0.0] * 80 + [1.0] * 20)
    bins = bin_counts(labels, Histogram.of([0.0, 0.5, 0.5, 1.0, -1.0, 2.0]), 10)
    assert [(each.baseline, each.current) for each in ranges(bins)] == [(80, 1), (20, 1)]
    assert named(bins) == {"new": (0, 4)}


def test_a_few_numbers_that_do_not_repeat_are_no_atoms() -> None:
    bins = bin_counts(Histogram.of([0.1, 0.5, 0.9]), Histogram.of([0.2, 0.4]), 10)
    assert "new" not in named(bins)
    assert sum(each.current for each in bins) == 2


def test_numbers_are_new_to_a_model_that_sent_names_and_the_other_way_round() -> None:
    numbers, names = Histogram.of(RANDOM.random(100)), Histogram.of(categories={"late": 60, "ok": 40})
    assert named(bin_counts(names, numbers, 10)) == {"late": (60, 0), "ok": (40, 0), "new": (0, 100)}
    assert named(bin_counts(numbers, names, 10)) == {"new": (0, 100)}


def test_categories_have_bins_by_their_share_of_the_baseline() -> None:
    # 10 bins: a category needs 5 %.
    baseline = Histogram.of(categories={"ok": 80, "late": 15, "lost": 4, "stolen": 1})
    current = Histogram.of(categories={"ok": 10, "lost": 2, "stolen": 1, "melted": 3, "eaten": 2})
    bins = bin_counts(baseline, current, 10)
    assert [each.value or each.kind for each in bins] == ["ok", "late", "other", "new"]
    assert named(bins) == {"ok": (80, 10), "late": (15, 0), "other": (5, 3), "new": (0, 5)}


@pytest.mark.parametrize(("there", "here"), [(3, 0), (0, 3), (2, 1)])
def test_nulls_have_a_bin_when_either_side_has_any(there: int, here: int) -> None:
    bins = bin_counts(Histogram.of([0.5] * 9, nulls=there), Histogram.of([0.5] * 9, nulls=here), 10)
    assert named(bins) == {"null": (there, here)}


def test_no_nulls_no_bin() -> None:
    assert named(bin_counts(Histogram.of([0.5]), Histogram.of([0.5]), 10)) == {}


def test_order_is_ranges_categories_other_new_null() -> None:
    baseline = Histogram.of([3.0, 1.0, 1.0, 3.0] * 10, {"b": 20, "a": 20, "c": 30, "rare": 1}, 5)
    current = Histogram.of([2.0], ["unseen"], 1)
    kinds = [each.value or each.kind for each in bin_counts(baseline, current, 10)]
    assert kinds == ["range", "range", "c", "a", "b", "other", "new", "null"]


def test_many_rare_categories_are_several_bins_of_about_equal_share() -> None:
    rare = {f"class {i}": 4 for i in range(100)}
    baseline = Histogram.of(categories={"ok": 600, **rare})
    others = [
        each for each in bin_counts(baseline, Histogram.of(categories={"class 7": 9}), 10) if each.kind == "other"
    ]
    assert [each.baseline for each in others] == [100, 100, 100, 100]
    assert sorted(each.current for each in others) == [0, 0, 0, 9]


def test_with_more_than_256_categories_groups_of_names_have_bins_and_all_are_counted() -> None:
    tail = {f"class {i}": 2 for i in range(1000)}
    baseline = Histogram.of(categories={"ok": 5000, **tail})
    bins = bin_counts(baseline, Histogram.of(categories={"ok": 500, "class 1": 40, "class 7": 10}), 10)
    assert bins[0].value.endswith(" and others")
    assert bins[0].baseline >= 5000
    assert sum(each.baseline for each in bins) == 7000
    assert sum(each.current for each in bins) == 550
    assert "new" not in named(bins)
