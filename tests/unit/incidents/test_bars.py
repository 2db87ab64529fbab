"""Shares of bins as rows of block characters."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, OtherBin, RangeBin
from sentryml_lifecycle.text.bars import BLOCKS, MOST, bars_of
from sentryml_lifecycle.text.number_format import psi_against, slow_psi_against

ENDS = (None, 0.03, 0.92, None)


def a_range(number: int, before: float, now: float) -> RangeBin:
    lower, upper = ENDS[number], ENDS[number + 1]
    return RangeBin(lower=lower, upper=upper, baseline_share=before, current_share=now, contribution=0.1)


def test_both_rows_have_one_scale_and_the_order_of_the_numbers() -> None:
    bins = [a_range(2, 0.1, 0.7), a_range(0, 0.5, 0.1), a_range(1, 0.4, 0.2)]
    assert bars_of(bins) == ("▆▅▂", "▂▃█")


def test_what_has_no_bin_of_its_own_stands_last() -> None:
    null = NullBin(baseline_share=0.0, current_share=0.7, contribution=0.1)
    new = NewBin(baseline_share=0.0, current_share=0.35, contribution=0.1)
    other = OtherBin(baseline_share=0.35, current_share=0.0, contribution=0.1)
    categories = [
        CategoryBin(value=value, baseline_share=0.7, current_share=0.0, contribution=0.1) for value in ("b", "a")
    ]
    assert bars_of([null, new, other, *categories]) == ("██▅▁▁", "▁▁▁▅█")


def test_of_few_bins_there_is_no_picture() -> None:
    assert bars_of([a_range(0, 0.5, 0.1), a_range(2, 0.5, 0.9)]) is None
    assert bars_of([]) is None


shares = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=100)


@given(shares)
def test_rows_are_equally_long_and_fit_into_a_line(found: Sequence[tuple[float, float]]) -> None:
    bins: list[Bin] = [
        CategoryBin(value=str(number), baseline_share=before, current_share=now, contribution=0.0)
        for number, (before, now) in enumerate(found)
    ]
    rows = bars_of(bins)
    assert rows is not None
    assert len(rows[0]) == len(rows[1]) <= MOST
    assert set("".join(rows)) <= set(BLOCKS)


def test_a_psi_that_says_little_is_put_into_words() -> None:
    assert psi_against(0.99, 0.1, 0.2) == "PSI 0.99, critical from 0.20"
    assert psi_against(1.0, 0.1, 0.2) == "PSI 1.00 (much is not as before), critical from 0.20"
    assert psi_against(12.4, 0.1, 0.2) == "PSI 12.40 (almost nothing is as before), critical from 0.20"
    assert slow_psi_against(3.0, 0.1) == (
        "PSI 3.00 against the reference (almost nothing is as before), a warning from 0.10"
    )
