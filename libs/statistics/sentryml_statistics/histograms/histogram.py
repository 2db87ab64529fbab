"""A histogram: what one signal of one model looked like in some stretch of time.

Numbers in cells, categories and nulls are counted side by side, so a model that starts to send text for
numbers, or nulls, drifts visibly. Histograms add and subtract exactly and never change. What they hold is a
function of the multiset of values: any order, any grouping, any replay that replaces gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.histograms.category_counts import (
    MAX_CATEGORIES,
    NO_CATEGORIES,
    CategoryCounts,
    merge_category_counts,
)
from sentryml_statistics.histograms.cell_counts import MAX_CELLS, NO_NUMBERS, CellCounts, merge_cell_counts


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of a signal's numbers, categories and nulls; equal when all their entries are."""

    numbers: CellCounts
    categories: CategoryCounts
    nulls: int

    @classmethod
    def of(
        cls,
        numbers: Sequence[float] | NDArray[np.float64] = (),
        categories: Iterable[str] | Mapping[str, int] = (),
        nulls: int = 0,
    ) -> Histogram:
        """Count finite numbers, categories (names, or names already counted) and nulls."""
        return cls(CellCounts.of(numbers), CategoryCounts.of(categories), nulls)

    @property
    def total(self) -> int:
        """All entries: one per event."""
        return self.numbers.total + self.categories.total + self.nulls

    def fitted(self) -> Histogram:
        """Return a sum that had room for more entries as one that has not."""
        return Histogram(self.numbers.fitted(), self.categories.fitted(), self.nulls)

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.numbers + other.numbers, self.categories + other.categories, self.nulls + other.nulls)

    def __sub__(self, other: Histogram) -> Histogram:
        """Take away what `other` counted; precision that was dropped does not come back.

        Raises:
            ValueError: `other` is not contained in this.
        """
        if other.nulls > self.nulls:
            raise ValueError("cannot subtract: more nulls than there are")
        return Histogram(self.numbers - other.numbers, self.categories - other.categories, self.nulls - other.nulls)


EMPTY = Histogram(NO_NUMBERS, NO_CATEGORIES, 0)


def merge(histograms: Iterable[Histogram], room: int = 1) -> Histogram:
    """Return the sum of many histograms, much faster than pair by pair; with room for `room` times the entries."""
    parts = list(histograms)
    return Histogram(
        merge_cell_counts((part.numbers for part in parts), room * MAX_CELLS),
        merge_category_counts((part.categories for part in parts), room * MAX_CATEGORIES),
        sum(part.nulls for part in parts),
    )
