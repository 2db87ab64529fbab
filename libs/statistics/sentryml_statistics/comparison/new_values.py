"""Values that are surely new, or surely more frequent than in the baseline, however small their part of the PSI is.

A class of 1 % that becomes one of 5 % has a PSI of 0.066, a label never seen before with 1 % of the events 0.073:
PSI is about the whole distribution. Such values are named, with the numbers that say how sure it is.

The test is Fisher's exact one (The Design of Experiments, 1935): were the k events of a value among both windows
dealt out at random, the number in the current window would be hypergeometric. Events that depend on each
other reach a small p sooner; hence the strict limit, and a least share and ratio, which hold for any number of events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma

from sentryml_statistics.histograms.cells import FULL_PRECISION, representative
from sentryml_statistics.histograms.histogram import Histogram

LARGEST_P = 1e-6
LEAST_SHARE = 0.005
LEAST_RATIO = 3
_NEGLIGIBLE = 1e-15


@dataclass(frozen=True, slots=True)
class MoreFrequent:
    """A value with its events in the baseline (0: never seen) and in the current window, their shares of all events
    there, and the two-sided p-value. `others`: it is a group of names, since there are too many to count each.
    """

    value: str | float
    others: bool
    baseline: int
    current: int
    baseline_share: float
    current_share: float
    p_value: float


def surely_more_frequent(baseline: Histogram, current: Histogram) -> list[MoreFrequent]:
    """Return the values of the current window that are surely new or surely more frequent, the most frequent first.

    Numbers are looked at while both histograms hold them exactly.
    """
    m, n = baseline.total, current.total
    found = [
        MoreFrequent(value, others, was, now, was / m, now / n, p)
        for value, others, was, now in _values(baseline, current)
        if m and now >= LEAST_SHARE * n and now * m >= LEAST_RATIO * was * n
        if (p := p_value(was, m, now, n)) < LARGEST_P
    ]
    return sorted(found, key=lambda each: (-each.current, str(each.value)))


def p_value(was: int, m: int, now: int, n: int) -> float:
    """Twice the probability that of `was` + `now` events, dealt out at random to m and n places, `now` or more come to
    the n; at most 1. Requires 0 ≤ was ≤ m, 0 ≤ now ≤ n."""
    k = was + now
    term = exp(_log_ways(n, now) + _log_ways(m, was) - _log_ways(m + n, k))
    total = term
    for x in range(now, min(n, k)):
        term *= (n - x) * (k - x) / ((x + 1) * (m - k + x + 1))
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return min(1.0, 2 * total)


def _log_ways(whole: int, part: int) -> float:
    """The logarithm of the number of ways to pick `part` of `whole`."""
    return lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)


def _values(baseline: Histogram, current: Histogram) -> Iterator[tuple[str | float, bool, int, int]]:
    """Each value of the current window, whether it includes others, and its events on both sides."""
    dropped = max(baseline.categories.dropped, current.categories.dropped)
    known = baseline.categories.coarsened(dropped).keyed()
    for key, (label, now) in current.categories.coarsened(dropped).keyed().items():
        yield label, dropped > 0, known[key][1] if key in known else 0, now
    if baseline.numbers.dropped == current.numbers.dropped == FULL_PRECISION:
        counts = dict(zip(baseline.numbers.cells, baseline.numbers.counts, strict=True))
        for cell, now in zip(current.numbers.cells, current.numbers.counts, strict=True):
            yield representative(cell), False, counts.get(cell, 0), now
