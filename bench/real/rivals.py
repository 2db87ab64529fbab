"""What other monitors would say of the scores, once a day for the day's batch, by their published default rules.

Written down here in a few lines each, since only the rule is compared and their packages bring a platform with them.
None of them counts nulls as drift: those are left out, as they do.

- WhyLabs: the Hellinger distance of a day from the seven before; drift where it is more than three standard deviations
  from the mean of the last seven such distances (docs.whylabs.ai, "WhyLabs Algorithms": the default).
- NannyML: the Jensen-Shannon distance of a day from the reference, in bins by Doane's rule with one for all beyond;
  thresholds are mean ± 3 standard deviations over the reference's own days (docs, "Thresholds").
- Evidently: PSI ≥ 0.1 of a day against the seven before, in equal bins over both by Sturges' rule, or by value where
  there are at most 20; empty bins hold 0.0001 (its PSI test).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.real.alarms import Alarms
from bench.real.product import REFERENCE_DAYS
from bench.real.streams import Events
from sentryml_common.contracts.monitor import DAY

Values = NDArray[np.float64]

WEEK = 7
WHYLABS_BINS, DEVIATIONS = 30, 3.0
EVIDENTLY_THRESHOLD, FEW_VALUES, EMPTY_SHARE = 0.1, 20, 1e-4


class Days:
    """The scores of each day, without nulls; `first` is when the first one begins."""

    def __init__(self, events: Events) -> None:
        self.first = float(events.times[0]) // DAY * DAY
        count = int((events.times[-1] - self.first) // DAY) + 1
        edges = np.searchsorted(events.times, self.first + DAY * np.arange(count + 1)).tolist()
        known = ~np.isnan(events.scores)
        self.scores = [events.scores[start:end][known[start:end]] for start, end in pairwise(edges)]

    def before(self, day: int) -> Values:
        """The scores of the seven days before."""
        return np.concatenate(self.scores[day - WEEK : day])


class Rival(ABC):
    """A rule that evaluates once a day; `from_day` is the first on which it can."""

    name: str
    from_day: int

    @abstractmethod
    def alerts(self, days: Days, day: int) -> bool:
        """Whether it alerts of a day."""


class WhyLabs(Rival):
    """Mean ± 3 standard deviations over trailing batches."""

    name, from_day = "WhyLabs: mean ± 3 sd, trailing week", 2 * WEEK

    def alerts(self, days: Days, day: int) -> bool:
        """Whether the distance of the day is beyond those of the week before."""
        known = [_hellinger(days.before(each), days.scores[each]) for each in range(day - WEEK, day)]
        return _beyond(_hellinger(days.before(day), days.scores[day]), known)


class NannyML(Rival):
    """Thresholds from reference chunks."""

    name, from_day = "NannyML: thresholds from four weeks", REFERENCE_DAYS

    def alerts(self, days: Days, day: int) -> bool:
        """Whether the distance of the day is beyond those of the reference's days."""
        chunks = days.scores[:REFERENCE_DAYS]
        whole = np.concatenate(chunks)
        edges = np.histogram_bin_edges(whole, bins="doane")
        known = [_jensen_shannon(whole, chunk, edges) for chunk in chunks]
        return _beyond(_jensen_shannon(whole, days.scores[day], edges), known)


class Evidently(Rival):
    """PSI 0.1 against the last week."""

    name, from_day = "Evidently: PSI 0.1, last week", WEEK

    def alerts(self, days: Days, day: int) -> bool:
        """Whether the PSI of the day reaches the threshold."""
        return evidently_psi(days.before(day), days.scores[day]) >= EVIDENTLY_THRESHOLD


RIVALS: tuple[Rival, ...] = (WhyLabs(), NannyML(), Evidently())


@dataclass(slots=True)
class DailyWatch:
    """One model under one rival's rule: consecutive days with an alert are one incident."""

    rival: Rival
    days: Days

    def run(self, since: float, until: float) -> Alarms:
        """Evaluate each day that ends after `since` and by `until`."""
        first = max(self.rival.from_day, round((since - self.days.first) / DAY))
        last = min(len(self.days.scores), round((until - self.days.first) / DAY))
        live = first > self.rival.from_day and self.rival.alerts(self.days, first - 1)
        alarms = Alarms(live=live)
        for day in range(first, last):
            at, alerts = self.days.first + (day + 1) * DAY, self.rival.alerts(self.days, day)
            alarms.evaluated.append(at)
            if alerts:
                alarms.drifting.append(at)
            if alerts != live:
                (alarms.opened if alerts else alarms.over).append(at)
            live = alerts
        return alarms


def evidently_psi(reference: Values, current: Values) -> float:
    """The PSI of Evidently's rule."""
    values = np.unique(np.concatenate((reference, current)))
    if len(values) <= FEW_VALUES:
        edges = np.append(values, np.inf)
    else:
        edges = np.histogram_bin_edges(np.concatenate((reference, current)), bins="sturges")
    p, q = (np.maximum(_shares(each, edges), EMPTY_SHARE) for each in (reference, current))
    return float(np.sum((p - q) * np.log(p / q)))


def _beyond(value: float, known: Sequence[float]) -> bool:
    return bool(abs(value - np.mean(known)) > DEVIATIONS * np.std(known))


def _hellinger(reference: Values, current: Values) -> float:
    edges = np.histogram_bin_edges(np.concatenate((reference, current)), bins=WHYLABS_BINS)
    p, q = _shares(reference, edges), _shares(current, edges)
    return float(np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2))


def _jensen_shannon(reference: Values, current: Values, edges: Values) -> float:
    p, q = (_with_the_rest(_shares(each, edges)) for each in (reference, current))
    middle = (p + q) / 2
    return float(np.sqrt((_kullback_leibler(p, middle) + _kullback_leibler(q, middle)) / 2))


def _kullback_leibler(p: Values, q: Values) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log2(p[there] / q[there])))


def _with_the_rest(shares: Values) -> Values:
    return np.append(shares, 1 - shares.sum())


def _shares(values: Values, edges: Values) -> Values:
    counts: Values = np.histogram(values, edges)[0] / len(values)
    return counts
