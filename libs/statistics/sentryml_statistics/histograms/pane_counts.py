"""What is counted in one pane of one model: a histogram per signal.

Invariant: every event adds one entry to each signal (no score counts as a null), so all signals have one total.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.evaluation import Signal
from sentryml_statistics.histograms.category_counts import NO_CATEGORIES
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.codec import pack_histograms, unpack_histograms
from sentryml_statistics.histograms.histogram import EMPTY, Histogram, merge

HISTOGRAMS_PER_PANE = 2


@dataclass(frozen=True, slots=True)
class PaneCounts:
    """One histogram per signal, over the same events."""

    score: Histogram
    prediction: Histogram

    @classmethod
    def of(cls, predictions: Sequence[str | float | bool], scores: Sequence[float | None]) -> PaneCounts:
        """Count events, given as two columns of equal length."""
        return cls(_histogram_of(scores), _histogram_of(predictions))

    @property
    def total(self) -> int:
        """How many events were counted."""
        return self.prediction.total

    @property
    def histograms(self) -> tuple[Histogram, Histogram]:
        """Those of all signals."""
        return self.score, self.prediction

    def of_signal(self, signal: Signal) -> Histogram:
        """The histogram of one signal."""
        return self.score if signal is Signal.SCORE else self.prediction

    def __add__(self, other: PaneCounts) -> PaneCounts:
        return PaneCounts(self.score + other.score, self.prediction + other.prediction)

    def __sub__(self, other: PaneCounts) -> PaneCounts:
        """Take away what `other` counted.

        Raises:
            ValueError: `other` is not contained in this.
        """
        return PaneCounts(self.score - other.score, self.prediction - other.prediction)

    def fitted(self) -> PaneCounts:
        """Return a sum that had room for more entries as one that has not."""
        return PaneCounts(self.score.fitted(), self.prediction.fitted())

    def pack(self) -> bytes:
        """Return the counts as bytes; equal counts give equal bytes."""
        return pack_histograms(self.histograms)

    @classmethod
    def unpack(cls, packed: bytes) -> PaneCounts:
        """Read back what `pack` made.

        Raises:
            UndecodableMessage: these are not the bytes of pane counts of a known version.
        """
        score, prediction = unpack_histograms(packed, HISTOGRAMS_PER_PANE)
        return cls(score, prediction)


EMPTY_PANE = PaneCounts(EMPTY, EMPTY)


def merge_panes(panes: Iterable[PaneCounts], room: int = 1) -> PaneCounts:
    """Return the sum of many panes, much faster than pair by pair; with room for `room` times the entries."""
    parts = list(panes)
    return PaneCounts(merge((part.score for part in parts), room), merge((part.prediction for part in parts), room))


def count_runs(
    predictions: Sequence[str | float | bool], scores: Sequence[float | None], starts: Sequence[int]
) -> list[PaneCounts]:
    """Count many runs of events at once, as `PaneCounts.of` would each; `starts` says where runs begin, and the end
    of the last."""
    of_scores = _histograms_of_numbers(np.array(scores, np.float64), starts)
    if set(map(type, predictions)) == {float}:
        of_predictions = _histograms_of_numbers(np.array(predictions, np.float64), starts)
    else:
        of_predictions = [_histogram_of(predictions[begin:end]) for begin, end in pairwise(starts)]
    return [PaneCounts(*both) for both in zip(of_scores, of_predictions, strict=True)]


def _histograms_of_numbers(values: NDArray[np.float64], starts: Sequence[int]) -> list[Histogram]:
    """The histogram of each run of numbers, where NaN is null."""
    lengths = (end - begin for begin, end in pairwise(starts))
    return [
        Histogram(numbers, NO_CATEGORIES, length - numbers.total)
        for numbers, length in zip(CellCounts.of_runs(values, starts), lengths, strict=True)
    ]


def _histogram_of(values: Sequence[str | float | bool | None]) -> Histogram:
    """Sort values by kind: booleans are the categories 'true' and 'false', None is a null."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return Histogram.of((), Counter(cast(Sequence[str], values)))
    if kinds == {float}:
        return Histogram.of(cast(Sequence[float], values))
    numbers: list[float] = []
    categories: list[str] = []
    nulls = 0
    for value in values:
        if value is None:
            nulls += 1
        elif isinstance(value, str):
            categories.append(value)
        elif isinstance(value, bool):
            categories.append("true" if value else "false")
        else:
            numbers.append(value)
    return Histogram.of(numbers, categories, nulls)
