"""Histograms: what they hold depends on the values alone; they add and subtract exactly."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate, chain
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_statistics.histograms.category_counts import MAX_CATEGORIES, CategoryCounts
from sentryml_statistics.histograms.cell_counts import MAX_CELLS, CellCounts
from sentryml_statistics.histograms.cells import cells_of
from sentryml_statistics.histograms.codec import pack_histograms
from sentryml_statistics.histograms.histogram import EMPTY, Histogram, merge
from sentryml_statistics.histograms.pane_counts import PaneCounts, count_runs

Values = list[float | str | None]

few_numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.lists(st.one_of(few_numbers, st.sampled_from([0.0, 1.0, 0.5]), st.text(max_size=5), st.none()), max_size=40)


@st.composite
def many_values(draw: st.DrawFn) -> Values:
    """Values of a few shapes, often more distinct ones than cells or names fit."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.sampled_from([0, 20, 100, 1000, 1500, 4000]))
    shape = draw(st.sampled_from(["beta", "normal", "lognormal", "rounded"]))
    numbers = {
        "beta": lambda: random.beta(0.3, 3, count),
        "normal": lambda: random.normal(0, 10, count),
        "lognormal": lambda: random.lognormal(0, 5, count),
        "rounded": lambda: random.normal(0, 1, count).round(2),
    }[shape]()
    names = random.integers(0, draw(st.sampled_from([1, 250, 1500])), draw(st.sampled_from([0, 10, 1500])))
    mixed: Values = [*numbers.tolist(), *(f"name {name}" for name in names), *[None] * draw(st.integers(0, 3))]
    return [mixed[i] for i in random.permutation(len(mixed))]


def of(entries: Values) -> Histogram:
    return Histogram.of(
        [each for each in entries if isinstance(each, float)],
        [each for each in entries if isinstance(each, str)],
        sum(each is None for each in entries),
    )


def cut(entries: Values, seed: int) -> list[Values]:
    """The entries in some order, in parts of some sizes."""
    random = np.random.default_rng(seed)
    shuffled = [entries[i] for i in random.permutation(len(entries))]
    borders = sorted(random.integers(0, len(entries) + 1, random.integers(0, 12)).tolist())
    return [shuffled[start:end] for start, end in zip([0, *borders], [*borders, len(entries)], strict=True)]


@given(values | many_values(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_any_order_and_any_grouping_give_equal_bytes(entries: Values, seed: int) -> None:
    whole = pack_histograms([of(entries)])
    parts = [of(part) for part in cut(entries, seed)]
    assert pack_histograms([reduce(add, parts, EMPTY)]) == whole
    assert pack_histograms([reduce(add, reversed(parts), EMPTY)]) == whole
    assert pack_histograms([merge(parts)]) == whole
    assert pack_histograms([merge([merge(parts[:3]), *parts[3:]])]) == whole


@given(many_values())
@settings(max_examples=25)
def test_as_few_bits_are_dropped_as_the_cells_allow(entries: Values) -> None:
    histogram = of(entries)
    numbers = np.array([each for each in entries if isinstance(each, float)])
    dropped = histogram.numbers.dropped
    assert len(histogram.numbers.cells) == len(np.unique(cells_of(numbers, dropped))) <= MAX_CELLS
    if dropped:
        assert len(np.unique(cells_of(numbers, dropped - 1))) > MAX_CELLS


@given(values | many_values(), values | many_values())
@settings(max_examples=50)
def test_subtraction_undoes_addition_up_to_precision(left: Values, right: Values) -> None:
    one, other = of(left), of(right)
    both = one + other
    rest = both - other
    assert rest.numbers == one.numbers.coarsened(both.numbers.dropped) or not one.numbers.cells
    assert rest.nulls == one.nulls
    assert rest.total == one.total
    # A hash cell may keep the label of a name that has left; its key and count are exact.
    names = one.categories.coarsened(both.categories.dropped).keyed() if one.categories.counts else {}
    assert {key: count for key, (_, count) in rest.categories.keyed().items()} == {
        key: count for key, (_, count) in names.items()
    }
    if both.numbers.dropped == both.categories.dropped == 0:
        assert rest == one


@given(values | many_values())
@settings(max_examples=25)
def test_nothing_is_left_of_a_histogram_without_itself(entries: Values) -> None:
    histogram = of(entries)
    assert histogram - histogram == EMPTY


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (Histogram.of([0.3]), "cells where there are none"),
        (Histogram.of([0.1]), "cells where there are none"),
        (Histogram.of([0.2, 0.2]), "more numbers than there are"),
        (Histogram.of(categories=["late"]), "more of category 'late'"),
        (Histogram.of(categories=["ok", "ok"]), "more of category 'ok'"),
        (Histogram.of(nulls=2), "more nulls"),
    ],
)
def test_what_is_not_contained_cannot_be_subtracted(part: Histogram, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Histogram.of([0.2], ["ok"], 1) - part


def test_entries_are_counted_by_kind() -> None:
    histogram = Histogram.of([0.5, 0.5, 2], {"late": 3, "ok": 1, "never": 0}, 4)
    assert (histogram.numbers.total, histogram.categories.total, histogram.nulls) == (3, 4, 4)
    assert histogram.total == 11
    assert histogram.categories.counts == {"late": 3, "ok": 1}
    assert histogram.numbers.dropped == 0


def test_a_full_histogram_of_distinct_values_stays_exact() -> None:
    numbers = CellCounts.of(np.arange(MAX_CELLS) / 10)
    assert numbers.dropped == 0
    assert len(numbers.cells) == MAX_CELLS
    assert (numbers + CellCounts.of([-0.1])).dropped > 0


def test_names_stay_names_while_they_are_few() -> None:
    names = [f"class {i}" for i in range(MAX_CATEGORIES)]
    counts = CategoryCounts.of(names)
    assert counts.dropped == 0
    assert set(counts.counts) == set(names)


def test_more_names_share_hash_cells_and_all_are_counted() -> None:
    counts = CategoryCounts.of([f"class {i}" for i in range(5000)])
    assert counts.dropped > 0
    assert MAX_CATEGORIES / 2 < len(counts.counts) <= MAX_CATEGORIES
    assert counts.total == 5000


def test_histograms_of_different_precision_add_at_the_coarser_one() -> None:
    fine, coarse = Histogram.of([0.1, 0.2]), Histogram.of(np.random.default_rng(1).beta(2, 5, 10_000))
    assert fine.numbers.dropped == 0
    assert (fine + coarse).numbers.dropped >= coarse.numbers.dropped > 0
    assert (fine + coarse).total == 10_002


runs = st.lists(many_values() | values, min_size=1, max_size=4)


@given(runs, st.sampled_from(["as they are", "numbers"]))
@settings(max_examples=40)
def test_counting_many_runs_at_once_is_counting_each(parts: list[Values], predictions: str) -> None:
    scores = [[each if isinstance(each, float) else None for each in part] for part in parts]
    if predictions == "numbers":
        said = [[0.5 if each is None else each for each in part] for part in scores]
    else:
        said = [["none" if each is None else each for each in part] for part in parts]
    starts = list(accumulate(map(len, parts), initial=0))
    found = count_runs(list(chain(*said)), list(chain(*scores)), starts)
    assert [pane.pack() for pane in found] == [PaneCounts.of(*both).pack() for both in zip(said, scores, strict=True)]


repeated = st.sampled_from([-1e300, -0.0, 0.0, 0.1, 7.0, 1e-300])


@given(st.lists(st.tuples(repeated | few_numbers, st.integers(1, 5)), max_size=60))
def test_numbers_that_come_counted_are_as_if_each_had_come(counted: list[tuple[float, int]]) -> None:
    each = [number for number, count in counted for _ in range(count)]
    assert CellCounts.of_counted(counted) == CellCounts.of(each)
