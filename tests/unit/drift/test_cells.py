"""The cell map: monotone, symmetric, nested, fine at both ends of [0, 1], with edges that tell the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_statistics.cells import (
    cell_of,
    cells_of,
    coarsen,
    lower_edge,
    representative,
    separations,
)

LARGEST = math.nextafter(math.inf, 0.0)
LEAST_NORMAL = 2.0**-1022

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, -0.5, -1.0, LARGEST, -LARGEST, LEAST_NORMAL, math.nextafter(1.0, 0.0)]),
)
dropped_bits = st.integers(0, 60)


def counted_as(value: float) -> float:
    """Subnormal numbers count as 0."""
    return 0.0 if abs(value) < LEAST_NORMAL else value


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


@given(st.lists(numbers, min_size=1), st.integers(0, 30), st.integers(0, 30))
def test_cells_nest(values: list[float], first: int, more: int) -> None:
    array = np.array(values)
    assert coarsen(cells_of(array, first), first, first + more).tolist() == cells_of(array, first + more).tolist()


def test_dropped_precision_does_not_come_back() -> None:
    with pytest.raises(ValueError, match="cannot be refined"):
        coarsen(np.array([1, 2]), 3, 2)


@given(st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_between_one_half_and_one_every_double_has_its_own_cell(left: float, right: float) -> None:
    assert (cell_of(left) == cell_of(right)) == (left == right)


@given(st.floats(LEAST_NORMAL, LARGEST / 2))
def test_elsewhere_at_most_two_neighbouring_doubles_share_a_cell(value: float) -> None:
    two_on = math.nextafter(math.nextafter(value, math.inf), math.inf)
    assert cell_of(value) < cell_of(two_on)


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9, 1e-12])
def test_both_ends_of_the_unit_interval_are_equally_fine(distance: float) -> None:
    # A tenth of the distance to the end is told apart at either end, even at 45 dropped bits.
    assert cell_of(distance, 45) != cell_of(1.1 * distance, 45)
    assert cell_of(1 - distance, 45) != cell_of(1 - 1.1 * distance, 45)


def test_zero_and_one_share_their_cells_with_no_other_score() -> None:
    assert cell_of(0.0, 50) == cell_of(-0.0, 50) == 0 < cell_of(1e-300, 50)
    assert cell_of(math.nextafter(1.0, 0.0), 50) < cell_of(1.0, 50)


@given(numbers, dropped_bits)
def test_edges_enclose_exactly_the_numbers_of_a_cell(value: float, dropped: int) -> None:
    cell = cell_of(value, dropped)
    lower, upper = lower_edge(cell, dropped), lower_edge(cell + 1, dropped)
    assert lower <= counted_as(value) < upper
    if math.isfinite(upper):
        assert cell_of(upper, dropped) > cell
    below = math.nextafter(lower, -math.inf)
    assert lower == 0.0 or not math.isfinite(below) or cell_of(below, dropped) < cell


def test_edge_at_zero_is_zero_and_beyond_the_largest_double_infinite() -> None:
    assert lower_edge(0) == 0.0
    assert lower_edge(cell_of(LARGEST) + 1) == math.inf


@given(numbers, dropped_bits)
def test_representative_lies_in_its_cell(value: float, dropped: int) -> None:
    cell = cell_of(value, dropped)
    assert cell_of(representative(cell, dropped), dropped) == cell


@pytest.mark.parametrize("value", [0.7, 0.1, 1.0, 0.0, -3.3, 1e6, 0.999, 2.5e-7])
def test_representative_of_an_exact_cell_is_the_number_as_people_write_it(value: float) -> None:
    assert representative(cell_of(value)) == value


@given(st.sets(numbers, min_size=1, max_size=60), st.integers(0, 60))
def test_separations_foretell_the_number_of_cells(values: set[float], dropped: int) -> None:
    cells = np.unique(cells_of(np.array(sorted(values))))
    foretold = 1 + int((separations(cells) > dropped).sum())
    assert foretold == len(np.unique(coarsen(cells, 0, dropped)))
