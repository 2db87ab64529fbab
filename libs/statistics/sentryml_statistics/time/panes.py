"""Panes: time cut into equal pieces at two resolutions, numbered from the epoch.

    fine    ├┼┼┼┼┼┼┼┼┼┼┼┼┤           kept for 120 panes (2 h at 60 s)
    coarse  ├────────────┼────────   60 fine panes each, kept as long as any window reaches back

An event counts in the panes of its own timestamp. Times come as float seconds since the epoch and are turned
into whole microseconds at once: a double holds those exactly until the year 2100 and beyond, and integers do
not drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FINE_PER_COARSE = 60
FINE_PANES_KEPT = 120

_MICROS = 1_000_000


class Resolution(StrEnum):
    """How long a pane is."""

    FINE = "fine"
    COARSE = "coarse"


class Lateness(StrEnum):
    """Whether an event's timestamp lets it count."""

    COUNTED = "counted"
    LATE = "late"
    FUTURE = "future"


@dataclass(frozen=True, slots=True)
class PaneGrid:
    """The panes of both resolutions; pane p covers [p, p + 1) times its length since the epoch.

    Raises:
        ValueError: the fine pane is not a positive whole number of milliseconds.
    """

    fine_seconds: float
    _micros: dict[Resolution, int] = field(init=False, repr=False, compare=False)
    """Length of a pane in whole microseconds; what most arithmetic on panes asks for."""

    def __post_init__(self) -> None:
        millis = self.fine_seconds * 1000
        if millis < 1 or millis != round(millis):
            raise ValueError(f"a fine pane of {self.fine_seconds:g} s is not a whole number of milliseconds: round it")
        fine = micros(self.fine_seconds)
        object.__setattr__(self, "_micros", {Resolution.FINE: fine, Resolution.COARSE: FINE_PER_COARSE * fine})

    @property
    def coarse_seconds(self) -> float:
        """Length of a coarse pane."""
        return FINE_PER_COARSE * self.fine_seconds

    def pane_of(self, timestamp: float, resolution: Resolution) -> int:
        """The pane that holds a time."""
        return micros(timestamp) // self.micros_per_pane(resolution)

    def start_of(self, pane: int, resolution: Resolution) -> float:
        """When a pane begins (inclusive), in epoch seconds."""
        return pane * self.micros_per_pane(resolution) / _MICROS

    def admits_fine(self, events: NDArray[np.int64], records: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether events still count in a fine pane; if not, they count in the coarse one alone. Times in whole
        microseconds.

        Judged by the Kafka timestamps of their records, so that every reading of the log decides alike.
        """
        return events >= records - FINE_PANES_KEPT * self.micros_per_pane(Resolution.FINE)

    def first_live_fine(self, now: float) -> int:
        """The oldest fine pane that lies wholly inside the fine panes' life, and so has all its events."""
        length = self.micros_per_pane(Resolution.FINE)
        return -(-micros(now) // length) - FINE_PANES_KEPT

    def first_kept(self, resolution: Resolution, now: float, longest_window_seconds: float) -> int:
        """The oldest pane that has to be kept; partials of older ones are ignored.

        Coarse panes are kept as long as `longest_window_seconds` (baseline + current) and one more.
        """
        if resolution is Resolution.FINE:
            return self.first_live_fine(now) - 1
        return self.pane_of(now - longest_window_seconds, resolution) - 1

    def micros_per_pane(self, resolution: Resolution) -> int:
        """Length of a pane in whole microseconds."""
        return self._micros[resolution]


def micros_of(seconds: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    """`micros` of many times at once."""
    return np.rint(np.asarray(seconds, np.float64) * _MICROS).astype(np.int64)


def micros(seconds: float) -> int:
    """Whole microseconds, the unit of all arithmetic on times."""
    return round(seconds * _MICROS)
