"""Values that are surely new, or surely more frequent than in the baseline, however small their part of the PSI is.

A class of 1 % that becomes one of 5 % has a PSI of 0.066, a label never seen before with 1 % of the events 0.073:
PSI is about the whole distribution. Such values are named, with the numbers that say how sure it is.

The test is Fisher's exact one (The Design of Experiments, 1935): were the k events of a value among both windows
dealt out at random, the number in the current window would be hypergeometric. Events that depend on each
other reach a small p sooner; hence the strict limit, and a least share and ratio, which hold for any number of events.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from heapq import nlargest
from math import exp, lgamma

import numpy as np

from sentryml_common.contracts.evaluation import MoreFrequent
from sentryml_statistics.comparison.spelling import Value, other_spellings
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.cells import FULL_PRECISION, representative
from sentryml_statistics.histograms.histogram import Histogram

LARGEST_P = 1e-6
LEAST_SHARE = 0.005
LEAST_RATIO = 3
MOST_NAMED = 10
MOST_KNOWN = 200
"""Of how many of the baseline's most frequent categories a new value may be another spelling."""
FEWEST_WHOLE, LEAST_REPEATED = 3, 5
"""How many different whole numbers may be ids of classes, and how often each has to be there on average."""
_NEGLIGIBLE = 1e-15


def surely_more_frequent(baseline: Histogram, current: Histogram) -> tuple[MoreFrequent, ...]:
    """Return the values of the current window that are surely new or surely more frequent, the most frequent first, at
    most `MOST_NAMED`; of new ones, also of which known value they are another spelling.

    Numbers are compared one by one while both histograms hold them exactly.
    """
    m, n = baseline.total, current.total
    if not m or not n:
        return ()
    found = [
        MoreFrequent(
            value=value,
            others=others,
            baseline_count=was,
            current_count=now,
            baseline_share=was / m,
            current_share=now / n,
            p_value=p,
        )
        for value, others, was, now in _values(baseline, current, LEAST_SHARE * n)
        if now * m >= LEAST_RATIO * was * n and (p := p_value(was, m, now, n)) < LARGEST_P
    ]
    most = sorted(found, key=lambda each: (-each.current_count, str(each.value)))[:MOST_NAMED]
    return _with_spellings(most, baseline) if any(each.baseline_count == 0 for each in most) else tuple(most)


def whole_numbers(numbers: CellCounts) -> int | None:
    """How many different numbers there are, where all are whole and repeat: they may be ids of classes. None where they
    are not, and where they are too few, or too many to be counted one by one."""
    if numbers.dropped != FULL_PRECISION or len(numbers.cells) < FEWEST_WHOLE:
        return None
    if numbers.total < LEAST_REPEATED * len(numbers.cells):
        return None
    return len(numbers.cells) if all(map(_is_whole, numbers.cells)) else None


@lru_cache(maxsize=1 << 12)
def _is_whole(cell: int) -> bool:
    return representative(cell).is_integer()


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


def _values(baseline: Histogram, current: Histogram, least: float) -> Iterator[tuple[Value, bool, int, int]]:
    """Each value with at least `least` events in the current window, whether it includes others, and its events on both
    sides."""
    dropped = max(baseline.categories.dropped, current.categories.dropped)
    categories = current.categories.coarsened(dropped).counts.items()
    frequent = [(label, now) for label, now in categories if now >= least]
    known = baseline.categories.coarsened(dropped).counts_of(label for label, _ in frequent)
    for (label, now), was in zip(frequent, known, strict=True):
        yield label, dropped > 0, was, now
    if baseline.numbers.dropped == current.numbers.dropped == FULL_PRECISION:
        cells, counts = current.numbers.cell_array, current.numbers.count_array
        for cell, now in zip(cells[counts >= least].tolist(), counts[counts >= least].tolist(), strict=True):
            yield representative(cell), False, _count_of(baseline.numbers, cell), now


def _count_of(numbers: CellCounts, cell: int) -> int:
    place = int(np.searchsorted(numbers.cell_array, cell))
    return numbers.counts[place] if place < len(numbers.cells) and numbers.cells[place] == cell else 0


def _with_spellings(named: list[MoreFrequent], baseline: Histogram) -> tuple[MoreFrequent, ...]:
    """The values, new ones with the known value of which they are another spelling."""
    known: dict[Value, int] = dict(
        nlargest(MOST_KNOWN, baseline.categories.counts.items(), key=lambda category: category[1])
    )
    if baseline.numbers.dropped == FULL_PRECISION:
        numbers = zip(baseline.numbers.cells, baseline.numbers.counts, strict=True)
        known |= {
            representative(cell): count for cell, count in nlargest(MOST_KNOWN, numbers, key=lambda each: each[1])
        }
    spellings = other_spellings([each.value for each in named if each.baseline_count == 0], known)
    return tuple(
        each.model_copy(
            update={"spelling": found.model_copy(update={"baseline_share": known[found.known] / baseline.total})}
        )
        if each.baseline_count == 0 and (found := spellings.get(each.value))
        else each
        for each in named
    )
