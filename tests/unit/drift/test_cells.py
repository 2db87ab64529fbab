"""The cell map: monotone, symmetric, nested, as fine as float32 at both ends of [0, 1], with edges that are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.histograms.cells import cell_of, cells_of, coarsen, lower_edge, representative, separations

LARGEST = math.nextafter(math.inf, 0.0)
LEAST_NORMAL = 2.0**-1022

ties = st.integers(2**24, 2**25).map(lambda k: k / 2**25)
"""Every second one lies midway between two float32."""
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: math.nextafter(x, math.inf)),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, -0.5, -1.0, LARGEST, -LARGEST, math.nextafter(1.0, 0.0)]),
    st.sampled_from([LEAST_NORMAL, -LEAST_NORMAL, LEAST_NORMAL / 2, -LEAST_NORMAL / 2]),
    ties,
)
dropped_bits = st.integers(0, 33)


def as_float32(value: float) -> float:
    """As float32, in the range where that is exact to 24 bits."""
    return float(np.float32(value))


@given(st.lists(numbers), dropped_bits)
def test_one_number_and_many_have_the_same_cells(values: list[float], dropped: int) -> None:
    assert cells_of(np.array(values, dtype=np.float64), dropped).tolist() == [cell_of(v, dropped) for v in values]


@given(numbers, numbers, dropped_bits)
def test_cells_are_in_the_order_of_their_numbers(left: float, right: float, dropped: int) -> None:
    left, right = sorted((left, right))
    assert cell_of(left, dropped) <= cell_of(right, dropped)


@given(numbers, dropped_bits)
def test_cells_are_symmetric_in_0(value: float, dropped: int) -> None:
    assert cell_of(-value, dropped) == -cell_of(value, dropped)


@given(st.lists(numbers, min_size=1), st.integers(0, 17), st.integers(0, 17))
def test_cells_nest(values: list[float], first: int, more: int) -> None:
    array = np.array(values)
    assert coarsen(cells_of(array, first), first, first + more).tolist() == cells_of(array, first + more).tolist()


def test_dropped_precision_does_not_come_back() -> None:
    with pytest.raises(ValueError, match="cannot be refined"):
        coarsen(np.array([1, 2]), 3, 2)


@pytest.mark.parametrize("whole", [10, 100, 255, 1000])
def test_a_score_as_double_and_as_float32_is_in_one_cell_and_its_neighbour_in_another(whole: int) -> None:
    cells = [cell_of(k / whole) for k in range(whole + 1)]
    assert cells == [cell_of(as_float32(k / whole)) for k in range(whole + 1)]
    assert len(set(cells)) == whole + 1


@given(st.floats(-(2.0**127), 2.0**127).filter(lambda x: abs(x) >= 2.0**-126) | ties)
def test_a_number_as_double_and_as_float32_is_in_one_cell_and_the_next_float32_in_another(value: float) -> None:
    assert cell_of(value) == cell_of(as_float32(value))
    assert cell_of(value) < cell_of(float(np.nextafter(np.float32(value), np.float32(np.inf))))


def test_many_numbers_as_doubles_and_as_float32_are_in_the_same_cells() -> None:
    random = np.random.default_rng(5)
    for drawn in (random.random(100_000), random.beta(8, 0.3, 100_000), random.normal(0, 1e6, 100_000)):
        values = np.sort(drawn)
        cells = cells_of(values)
        assert np.array_equal(cells, cells_of(values.astype(np.float32).astype(np.float64)))
        assert (np.diff(cells) >= 0).all()


@pytest.mark.parametrize("value", [1e-300, 2.0**-1000, 1e300])
def test_beyond_the_range_of_float32_numbers_have_24_bits_as_well(value: float) -> None:
    assert cell_of(value) == cell_of(value * (1 + 2.0**-26)) != cell_of(value * (1 + 2.0**-22))


@pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-5, 2e-6])
def test_both_ends_of_the_unit_interval_are_equally_fine(distance: float) -> None:
    # A tenth of the distance to the end is distinguished at either end, even at 17 dropped bits.
    assert cell_of(distance, 17) != cell_of(1.1 * distance, 17)
    assert cell_of(1 - distance, 17) != cell_of(1 - 1.1 * distance, 17)


def test_zero_and_one_share_their_cells_with_no_other_float32() -> None:
    assert cell_of(0.0, 22) == cell_of(-0.0, 22) == 0 < cell_of(1e-300, 22)
    assert cell_of(1 - 2.0**-24, 22) < cell_of(1.0, 22)
    assert cell_of(1.0) == cell_of(math.nextafter(1.0, 0.0)) == cell_of(math.nextafter(1.0, 2.0))


@given(numbers, dropped_bits)
def test_edges_are_the_least_numbers_of_their_cells(value: float, dropped: int) -> None:
    cell = cell_of(value, dropped)
    lower, upper = lower_edge(cell, dropped), lower_edge(cell + 1, dropped)
    assert lower == 0.0 if cell == 0 == dropped else cell_of(lower, dropped) == cell
    assert cell_of(lower) <= cell_of(value)
    if 2.0**-126 < abs(lower) < 2.0**127:
        assert cell_of(float(np.nextafter(np.float32(lower), np.float32(-np.inf))), dropped) < cell
    if math.isfinite(upper):
        assert cell_of(upper, dropped) > cell
        assert cell_of(value) < cell_of(upper)


def test_edge_at_zero_is_zero_and_beyond_the_largest_double_infinite() -> None:
    assert lower_edge(0) == 0.0
    assert lower_edge(cell_of(LARGEST)) == LARGEST
    assert lower_edge(cell_of(LARGEST) + 1) == math.inf


@pytest.mark.parametrize("value", [0.1, 0.3, 0.9, 0.999, 1.0, -3.0, 3.0, 0.375, 1e6, -0.07, 2.5e-7])
def test_edges_are_written_as_people_write_them(value: float) -> None:
    assert lower_edge(cell_of(value)) == value


@given(numbers, dropped_bits)
def test_representative_lies_in_its_cell(value: float, dropped: int) -> None:
    cell = cell_of(value, dropped)
    assert cell_of(representative(cell, dropped), dropped) == cell


@pytest.mark.parametrize("value", [0.7, 0.1, 1.0, 0.0, -3.3, 1e6, 0.999, 2.5e-7])
def test_representative_of_an_exact_cell_is_the_number_as_people_write_it(value: float) -> None:
    assert representative(cell_of(value)) == representative(cell_of(as_float32(value))) == value


@given(st.sets(numbers, min_size=1, max_size=60), dropped_bits)
def test_separations_foretell_the_number_of_cells(values: set[float], dropped: int) -> None:
    cells = np.unique(cells_of(np.array(sorted(values))))
    foretold = 1 + int((separations(cells) > dropped).sum())
    assert foretold == len(np.unique(coarsen(cells, 0, dropped)))
