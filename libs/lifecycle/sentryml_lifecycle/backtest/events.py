"""The past events of one model, 24 bytes each, in the order of time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts

Floats = NDArray[np.float64]
NUMBER = -1
"""In place of a name, where a prediction is a number."""


@dataclass(frozen=True, slots=True)
class Events:
    """Epoch seconds; scores (NaN: none); predictions as numbers, or as the place of their name in `names`."""

    times: Floats
    scores: Floats
    numbers: Floats
    categories: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def first_score(self) -> float | None:
        """The time of the first event with a score."""
        found = np.flatnonzero(~np.isnan(self.scores))
        return float(self.times[found[0]]) if found.size else None

    def counts(self, first: int, end: int) -> PaneCounts:
        """What events first … end − 1 add up to."""
        scores, numbers = self.scores[first:end], self.numbers[first:end]
        categories = self.categories[first:end]
        null, named = np.isnan(scores), categories != NUMBER
        places, counted = np.unique(categories[named], return_counts=True)
        names = {self.names[place]: count for place, count in zip(places.tolist(), counted.tolist(), strict=True)}
        return PaneCounts(Histogram.of(scores[~null], nulls=int(null.sum())), Histogram.of(numbers[~named], names))


class Collected:
    """Events as they are read, in any order."""

    def __init__(self) -> None:
        self._times, self._scores, self._numbers = array("d"), array("d"), array("d")
        self._categories = array("i")
        self._names: dict[str, int] = {}

    def add(self, time: float, prediction: str | float | bool, score: float | None) -> None:
        """One event, as the contract of prediction events reads it."""
        self._times.append(time)
        self._scores.append(float("nan") if score is None else score)
        if isinstance(prediction, bool):
            prediction = "true" if prediction else "false"
        if isinstance(prediction, str):
            self._categories.append(self._names.setdefault(prediction, len(self._names)))
            self._numbers.append(0.0)
        else:
            self._categories.append(NUMBER)
            self._numbers.append(prediction)

    def events(self) -> Events:
        """All of them, in the order of time."""
        times = np.array(self._times)
        order = np.argsort(times, kind="stable")
        scores, numbers = np.array(self._scores)[order], np.array(self._numbers)[order]
        categories = np.array(self._categories, np.int32)[order]
        return Events(times[order], scores, numbers, categories, tuple(self._names))
