"""Pace: does the time without predictions last longer than the model's own pace explains?

The pace is read from when predictions came in, minute by minute (fine panes), over the time that panes are kept for:

    a week ago   ▐█▐██▐██ █▌▐██▐█  ▌         ▐█▐██▌▐██▐█          last week's gaps around this time: the longest, × 1.5
    now          ▐██▐█▐██▐██ █▐             ?                     the gap so far
                                ├── gap ────┤ read until

A gap is silence where it is

  - at least 15 fine panes long, and three evaluations;
  - more than 1.5 times as long as any gap of the last season that overlaps this time, give or take 75 fine panes: an
    hour for daylight saving, and a quarter for a late start;
  - no chance: in the same time of last season, wherever it is put within those 75 panes, predictions would have come
    in 20 times. If two equally long times are equally busy, then 20 times in one and none in the other is a chance of
    2⁻²⁰ < 10⁻⁶. Predictions within one fine pane count once, so a burst proves no more than one prediction does.

A model that rarely sends, as one of nightly batches, would need months for the last. It is also silent where its long
gaps are all alike, and this one is longer than they by more than they differ (`_outlasts`).

Until a season is known, a model is judged only if it has sent around the clock for a day, with no gap of a coarse
pane: others have a first night and a first weekend still to come.

A gap that began before panes are kept is of unknown length, and nothing is silent beside it; nor is a model of which
less is known than the gap is long. So no monthly batch is silent between batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.time.panes import FINE_PER_COARSE

Panes = NDArray[np.int64]

LEAST_GAP = 15
LEAST_EVALUATIONS = 3
LEAST_LIVE = FINE_PER_COARSE
LONGER = 1.5
SLACK = FINE_PER_COARSE + 15
DAY = 24 * FINE_PER_COARSE
LEAST_EXPECTED = 20.0
LEAST_ALIKE = 4
DEVIATIONS = 14.0
"""ln 10⁶: how many standard deviations an exponential tail takes to fall to 10⁻⁶."""


class Pace(StrEnum):
    """How a gap compares with a model's pace."""

    USUAL = "usual"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class History:
    """When predictions came in, in numbers of fine panes.

    `active` are the panes with arrivals, in order and before `now`. `loaded` are panes of before the first of them
    in which events lie that came in later, as far as that is known. Before `since`, nothing is known; where
    `complete`, there was nothing.
    """

    active: Panes
    loaded: Panes
    since: int
    complete: bool
    now: int

    @property
    def last(self) -> int:
        """The last pane with arrivals."""
        return int(self.active[-1])

    @property
    def gap(self) -> int:
        """How many panes without arrivals there have been since."""
        return max(0, self.now - self.last - 1)


def pace_of(history: History, season: int, every: int) -> Pace:
    """Compare the gap so far with the model's pace; `season` and `every` (between two evaluations) in fine panes."""
    if history.active.size == 0:
        return Pace.UNKNOWN
    gap = history.gap
    if gap < least_gap(every):
        return Pace.USUAL
    known = np.concatenate((history.loaded, history.active))
    # A batch that has just come in says nothing of the next one, nor does a history that is shorter than the gap.
    if history.last - int(known[0]) < gap or (history.loaded.size and history.last - history.active[0] < LEAST_LIVE):
        return Pace.UNKNOWN
    if history.now - season - SLACK < (int(known[0]) if history.complete else history.since):
        return _before_a_season(history, known)
    return _against_a_season(history, known, season)


def least_gap(every: int) -> int:
    """How many fine panes a gap lasts at least before it can be silence."""
    return max(LEAST_GAP, LEAST_EVALUATIONS * every)


def _against_a_season(history: History, known: Panes, season: int) -> Pace:
    starts, ends = _gaps(known)
    longest = _longest_around(history, season, starts, ends)
    if longest is None:
        return Pace.UNKNOWN
    if history.gap <= LONGER * longest:
        return Pace.USUAL
    no_chance = _expected(history, known, season) >= LEAST_EXPECTED or _outlasts(history.gap, ends - starts)
    return Pace.SILENT if no_chance else Pace.USUAL


def _gaps(known: Panes) -> tuple[Panes, Panes]:
    """The gaps between arrivals that have ended, of which beginning and end are known: first panes, and those after."""
    found = np.flatnonzero(np.diff(known) > 1)
    return known[found] + 1, known[found + 1]


def _longest_around(history: History, season: int, starts: Panes, ends: Panes) -> int | None:
    """The longest gap that overlaps the time one season ago; None where one of unknown length does."""
    first, end = history.now - season - SLACK, history.now - season + SLACK
    known_from = int(history.loaded[0] if history.loaded.size else history.active[0])
    if end > history.last + 1 or (first < known_from and not history.complete):
        return None
    around = (starts < end) & (ends > first)
    longest = int((ends - starts)[around].max(initial=0))
    if not history.loaded.size or first >= history.active[0]:
        return longest
    # Events that were loaded afterwards do not say how they would have come in: what has come in since also counts.
    return max(longest, int((ends - starts)[starts > history.active[0]].max(initial=0)))


def _before_a_season(history: History, known: Panes) -> Pace:
    span = history.last + 1 - int(known[0])
    longest = int(np.diff(known).max(initial=1)) - 1
    if span < DAY or longest >= FINE_PER_COARSE:
        return Pace.UNKNOWN
    if history.gap <= LONGER * longest:
        return Pace.USUAL
    expected = _times(np.array([span]), np.array([len(known)]))[0] * history.gap / span
    return Pace.SILENT if expected >= LEAST_EXPECTED else Pace.USUAL


def _expected(history: History, known: Panes, season: int) -> float:
    """How often predictions would have come in during the gap, by the least busy of the times as long as it that begin
    within SLACK of the same time one season ago."""
    begins = np.arange(history.last + 1 - season - SLACK, history.last + 1 - season + SLACK + 1)
    found = np.searchsorted(known, begins + history.gap) - np.searchsorted(known, begins)
    return float(_times(np.full(len(begins), history.gap), found).min())


def _times(panes: Panes, active: Panes) -> NDArray[np.float64]:
    """How often predictions came in, if they did so by chance, where `active` of some panes were: a pane is empty
    with probability e^−rate. Half a pane is added, so that no rate is infinite."""
    rates: NDArray[np.float64] = np.log((panes + 1) / (panes - active + 0.5))
    return rates * panes


def _outlasts(gap: int, lengths: Panes) -> bool:
    """Whether a gap is longer than all others, most of which are short or nearly equally long, as between batches."""
    if lengths.size < LEAST_ALIKE:
        return False
    longest = int(lengths.max())
    long = lengths[lengths > longest / 2]
    alike = long.size >= LEAST_ALIKE and gap >= longest + DEVIATIONS * float(long.std())
    return alike and gap > LONGER * longest
