"""What is done to a stream to see whether it is found: pure, the same seed gives the same events.

A shift replaces some of the events of a time by events drawn from the top tenth of the stream, score and label
together. Replacing a share f moves the PSI to about 0.22 at f = 0.2, 0.53 at ⅓ and 1.1 at ½.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.real.streams import Events
from sentryml_common.contracts.monitor import DAY, HOUR

STEP_SHARE = 1 / 3
RAMP_SHARE = 0.225
"""At the end of the ramp: PSI 0.28."""

RAMP_DAYS = 30
OUTAGE_FROM, OUTAGE_SECONDS = 12 * HOUR, 4 * HOUR


@dataclass(frozen=True, slots=True)
class Injected:
    """Events of which only those in [start, end) differ from the stream's own (epoch seconds)."""

    events: Events
    start: float
    end: float


def shift(events: Events, start: float, end: float, share: float, seed: int) -> Injected:
    """Replace a share of the events in [start, end) by events of the top tenth."""
    return _replace(events, start, end, np.full(_size(events, start, end), share), seed)


def step(events: Events, start: float, seed: int) -> Injected:
    """Replace a third of all events from `start` on."""
    return shift(events, start, _after_all(events), STEP_SHARE, seed)


def ramp(events: Events, start: float, seed: int) -> Injected:
    """Replace more and more, in proportion to time, for 30 days."""
    end = start + RAMP_DAYS * DAY
    passed = events.times[_within(events, start, end)] - start
    return _replace(events, start, end, RAMP_SHARE * passed / (RAMP_DAYS * DAY), seed)


def outage(events: Events, day: float) -> Injected:
    """Send nulls for scores from noon to four in the afternoon of the day that begins at `day`."""
    start = day + OUTAGE_FROM
    end = start + OUTAGE_SECONDS
    scores = events.scores.copy()
    scores[_within(events, start, end)] = np.nan
    return Injected(Events(events.times, scores, events.labels, events.names), start, end)


def _replace(events: Events, start: float, end: float, shares: NDArray[np.float64], seed: int) -> Injected:
    rng = np.random.default_rng(seed)
    top = _top_tenth(events.scores)
    at = np.arange(len(events.times))[_within(events, start, end)][rng.random(len(shares)) < shares]
    drawn = rng.choice(top, len(at))
    scores, labels = events.scores.copy(), events.labels.copy()
    scores[at], labels[at] = events.scores[drawn], events.labels[drawn]
    return Injected(Events(events.times, scores, labels, events.names), start, end)


def _top_tenth(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which events have the highest scores: a tenth of all, however many are equal to the least of them."""
    return np.sort(np.argsort(scores, kind="stable")[-(len(scores) // 10) :])


def _within(events: Events, start: float, end: float) -> slice:
    first, last = np.searchsorted(events.times, (start, end)).tolist()
    return slice(first, last)


def _size(events: Events, start: float, end: float) -> int:
    within = _within(events, start, end)
    return within.stop - within.start


def _after_all(events: Events) -> float:
    return float(events.times[-1]) + 1.0
