"""Values that are surely new or surely more frequent: which are named, and how sure that is."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.comparison.new_values import LARGEST_P, p_value, surely_more_frequent
from sentryml_statistics.histograms.histogram import Histogram

DAY = 10_000
WEEK = 7 * DAY


def day(**events: int) -> Histogram:
    """A day of 10,000 events with these labels, the others `ok`."""
    return Histogram.of(categories={"ok": DAY - sum(events.values()), **events})


def week(**events: int) -> Histogram:
    return Histogram.of(categories={"ok": WEEK - sum(events.values()), **events})


@pytest.mark.parametrize("today", [300, 500, 700])
def test_a_rare_class_that_is_several_times_as_frequent_is_named(today: int) -> None:
    (found,) = surely_more_frequent(week(fraud=700), day(fraud=today))
    assert (found.value, found.others, found.baseline_count, found.current_count) == ("fraud", False, 700, today)
    assert (found.baseline_share, found.current_share) == (0.01, today / DAY)
    assert found.p_value < 1e-40


def test_a_label_never_seen_before_is_named() -> None:
    found = surely_more_frequent(week(fraud=700), day(fraud=100, ERROR=100, unknown=60))
    assert [(each.value, each.baseline_count, each.current_count) for each in found] == [
        ("ERROR", 0, 100),
        ("unknown", 0, 60),
    ]


def test_a_constant_that_is_one_no_longer_is_named_by_what_came_to_it() -> None:
    assert surely_more_frequent(week(), day()) == ()
    assert surely_more_frequent(week(), day(bad=1)) == ()
    assert [each.value for each in surely_more_frequent(week(), day(bad=100))] == ["bad"]
    (score,) = surely_more_frequent(Histogram.of([1.0] * WEEK), Histogram.of([1.0] * 9_900 + [0.3] * 100))
    assert (score.value, score.baseline_count, score.current_count) == (0.3, 0, 100)


@pytest.mark.parametrize(
    ("was", "today"),
    [
        (140, 40),  # 0.2 % → 0.4 %: too small a share
        (0, 49),  # new, but under 0.5 %
        (700, 299),  # not three times as frequent
        (700, 100),  # as before
        (700, 0),
    ],
)
def test_what_is_too_rare_or_not_much_more_frequent_is_not_named(was: int, today: int) -> None:
    assert surely_more_frequent(week(fraud=was), day(fraud=today)) == ()


def test_what_may_be_chance_is_not_named() -> None:
    few, none = Histogram.of(categories={"ok": 97, "odd": 3}), Histogram.of(categories={"ok": 700})
    assert surely_more_frequent(none, few) == ()
    many = Histogram.of(categories={"ok": 90, "odd": 10})
    assert [each.value for each in surely_more_frequent(none, many)] == ["odd"]


def test_nothing_is_named_without_events() -> None:
    nothing, some = Histogram.of(), day(fraud=100)
    assert surely_more_frequent(nothing, some) == surely_more_frequent(some, nothing) == ()


def test_shares_are_of_all_events_nulls_and_numbers_too() -> None:
    (found,) = surely_more_frequent(
        Histogram.of([0.5] * 500, {"ok": 400}, 100), Histogram.of([0.5] * 50, ["bad"] * 25, 25)
    )
    assert (found.baseline_share, found.current_share) == (0.0, 0.25)


def test_among_too_many_names_to_count_each_a_group_is_named() -> None:
    names = [f"class {i}" for i in range(1000)]
    found = surely_more_frequent(
        Histogram.of(categories=names * 20), Histogram.of(categories=names * 3 + ["bad"] * 300)
    )
    assert len(found) == 1
    assert found[0].others


def test_ranges_of_numbers_are_no_values() -> None:
    random = np.random.default_rng(1)
    assert surely_more_frequent(Histogram.of(random.random(5000)), Histogram.of(random.random(5000) ** 9)) == ()


def test_without_drift_nothing_is_named() -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        sides = (random.choice(40, size, p=np.full(40, 1 / 40)) for size in (1400, 200))
        assert surely_more_frequent(*(Histogram.of(categories=map(str, side)) for side in sides)) == ()


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
def test_the_p_value_is_that_of_all_ways_to_deal_out_the_events(was: int, m: int, now: int, n: int) -> None:
    was, now = min(was, m), min(now, n)
    k = was + now
    ways = sum(comb(n, x) * comb(m, k - x) for x in range(now, min(n, k) + 1))
    assert p_value(was, m, now, n) == pytest.approx(min(1.0, float(2 * Fraction(ways, comb(m + n, k)))), rel=1e-9)


def test_the_p_value_of_many_events_is_there_at_once() -> None:
    assert p_value(10**7, 10**9, 5 * 10**6, 10**8) == 0.0
    assert LARGEST_P < p_value(10_000, 10**6, 1_010, 10**5) < 1
