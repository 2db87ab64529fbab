"""The time of the story: one day of flights is one second of the clock, from a whole second on.

    2013-04-01     2013-04-02              2013-04-13                  2013-06-05
    |- 1st second -|- 2nd second -|  ...  |- 13th second -|   ...   |- 66th second -|
    start                                  curtain                                   end
    '---- sent at once, as history --------'---- sent as the seconds pass -----------'

A moment of a flight's day becomes the same part of that day's second, so order and density within the day are
kept. The monitor's real-day settings shrink by the same factor: nothing else about it is touched. The first days
are history when the curtain rises: before half of the baseline (14 days) and the current window (3 days) are
there, no evaluation has a result, and a demo should not wait for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.monitor import DAY, MonitorSettings

SECONDS_PER_DAY = 1.0
DAYS_OF_HISTORY = 12  # the five days until the first evaluation are the time that registering the models may take
SCORE_MODEL, LABEL_MODEL = "flights-delay", "flights-delay-label"

REAL_MONITOR = MonitorSettings(baseline_seconds=28 * DAY, current_seconds=3 * DAY, every_seconds=1 * DAY)
"""How one would watch this model in real life: three days against the four weeks before them, once a day."""


@dataclass(frozen=True, slots=True)
class FlightDay:
    """One day's predictions in the order of the schedule, one entry per flight.

    `times` are the scheduled departures as parts of the day in [0, 1), `scores` the probabilities of being late.
    """

    date: date
    times: NDArray[np.float64]
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """Which second of the clock is which calendar day; `start` is whole epoch seconds."""

    start: int
    first_date: date
    days: int

    @property
    def curtain(self) -> float:
        """When the first day begins that is played as its second passes, epoch seconds."""
        return self.start + DAYS_OF_HISTORY * SECONDS_PER_DAY

    @property
    def end(self) -> float:
        """When the last day is over, epoch seconds."""
        return self.start + self.days * SECONDS_PER_DAY

    def time_of(self, day: int, moment: float) -> float:
        """Epoch seconds of a moment in [0, 1) of a day, counted from 0."""
        return self.start + (day + moment) * SECONDS_PER_DAY

    def day_before(self, time: datetime) -> int:
        """The number of the last day that was over at `time`; negative before the first one was.

        This is the newest day of a window that ends at `time`.
        """
        # A hair's breadth forgives a time that went through decimal fractions.
        return int((time.timestamp() - self.start + 1e-6) // SECONDS_PER_DAY) - 1

    def date_of(self, day: int) -> date:
        """The calendar date of a day of the story."""
        return self.first_date + timedelta(days=day)


def plan_story(now: datetime, first_date: date, days: int) -> Story:
    """A story whose curtain rises with the first whole second that is at least a second away."""
    curtain = math.ceil(now.timestamp() + 1.0)
    return Story(curtain - round(DAYS_OF_HISTORY * SECONDS_PER_DAY), first_date, days)


def scale_monitor(real: MonitorSettings, seconds_per_day: float = SECONDS_PER_DAY) -> dict[str, float]:
    """The times of a monitor for real days, shrunk to the days of the story; everything else keeps its default.

    Times that the design derives from the windows (resolve, reopen) are derived for the real days first.
    """
    times = {
        "baseline_seconds": real.baseline_seconds,
        "current_seconds": real.current_seconds,
        "every_seconds": real.every_seconds,
        "resolve_after_seconds": real.resolve_dwell_seconds,
        "reopen_seconds": real.reopen_window_seconds,
        "latch_seconds": real.latch_seconds,
        "close_after_seconds": real.close_after_seconds,
        "season_seconds": real.season_seconds,
    }
    scale = seconds_per_day / DAY
    return {name: round(seconds * scale, 6) for name, seconds in times.items() if seconds is not None}
