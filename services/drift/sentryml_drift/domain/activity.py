"""Recent activity of a signal in a few figures: quantiles and most frequent categories."""

from __future__ import annotations

import numpy as np

from sentryml_common.contracts.activity import CategoryCount, Quantile, SignalActivity
from sentryml_common.contracts.evaluation import Signal
from sentryml_statistics.histograms.category_counts import CategoryCounts
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.cells import representative
from sentryml_statistics.histograms.pane_counts import PaneCounts

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_CATEGORIES = 10


def activity_of(counts: PaneCounts) -> tuple[SignalActivity, ...]:
    """Return the activity of every signal."""
    return tuple(signal_activity(signal, counts) for signal in Signal)


def signal_activity(signal: Signal, counts: PaneCounts) -> SignalActivity:
    """Return the activity of one signal."""
    histogram = counts.of_signal(signal)
    return SignalActivity(
        signal=signal,
        numbers=histogram.numbers.total,
        categories=histogram.categories.total,
        nulls=histogram.nulls,
        quantiles=quantiles(histogram.numbers),
        top_categories=top_categories(histogram.categories),
    )


def quantiles(numbers: CellCounts) -> tuple[Quantile, ...]:
    """The number at each of QUANTILES: the least one with at least that part of all at or below it, which is
    definition 1 of Hyndman and Fan (The American Statistician 50(4), 1996).

    As fine as the cells are: a number in the right cell is shown, the one with the fewest digits.
    """
    if not numbers.cells:
        return ()
    at_or_below = numbers.count_array.cumsum()
    places = np.searchsorted(at_or_below, np.array(QUANTILES) * at_or_below[-1]).tolist()
    return tuple(
        Quantile(at=at, value=representative(numbers.cells[place], numbers.dropped))
        for at, place in zip(QUANTILES, places, strict=True)
    )


def top_categories(categories: CategoryCounts) -> tuple[CategoryCount, ...]:
    """The most frequent categories, first the most frequent, by name where equal."""
    ranked = sorted(categories.counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(CategoryCount(value=label, count=count) for label, count in ranked[:TOP_CATEGORIES])
