"""Bins: how baseline and current are made comparable. Only the baseline decides where bins lie.

Bins of the joint data would let one outlier hide a drift; bins of the baseline cannot be moved by what they are
to judge. They are unions of cells, so the shares of both sides are sums of whole counts: no interpolation, and
PSI is the raw data's PSI for these bins.

Numbers. A cell that holds at least 1/B of the baseline's numbers, and more than one, is an *atom* and a bin of its
own. The numbers between atoms are cut at the baseline's quantiles, each moved to the nearest cell edge, as
many bins as their share of B (at least one). Such bins reach to the next bin or atom, the outer ones to ±∞:

    baseline   │█        ▁▂▃▅▅▃▂▁           █│      atoms at 0 and 1, B = 5
    bins       [0]( , )[ , )[ , )[ , )     [1]
    new    <0  ↑                              ↑  >1

Where there is no number at all between two atoms, or outside the outermost one, there is no bin: a number there
is of a kind the baseline has never seen and counts as *new*. That is what makes a constant that changes, or
0/1 labels that become probabilities, visible.

Categories with a share of at least 1/(2B) of the baseline have a bin each, rarer ones share *other*. Where the
rare ones together are many, there are several such bins of about 1/B each, cut in the order of a fixed hash of the
name: in one bin, all drift within a long tail of names would be invisible. Unseen categories are *new*.

Nulls have a bin when either side has any. A bin in which neither side has anything is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.histograms.category_counts import CategoryCounts, hash_of
from sentryml_statistics.histograms.cell_counts import CellCounts
from sentryml_statistics.histograms.cells import Cells, lower_edge
from sentryml_statistics.histograms.histogram import Histogram

BinKind = Literal["range", "category", "other", "new", "null"]

_BEFORE_ALL, _AFTER_ALL = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class BinCounts:
    """A bin and the entries of both sides in it.

    A range holds `lower` ≤ x < `upper`, compared as float32 (None: unbounded); `value` is the category, else empty.
    """

    kind: BinKind
    baseline: int
    current: int
    lower: float | None = None
    upper: float | None = None
    value: str = ""


def bin_counts(baseline: Histogram, current: Histogram, bins: int) -> list[BinCounts]:
    """Count both sides in the bins of the baseline, at most about `bins` of them for numbers.

    In order: ranges from low to high, categories from frequent to rare, other, new, null.
    """
    return [each for each in _all_bins(baseline, current, bins) if each.baseline or each.current]


def counts_in_bins_of(baseline: Histogram, sides: Sequence[Histogram], bins: int) -> list[list[int]]:
    """Count other sides in the bins of the baseline, without bins in which none has anything (int[sides][bins])."""
    numbers = max(each.numbers.dropped for each in (baseline, *sides))
    categories = max(each.categories.dropped for each in (baseline, *sides))
    rough = Histogram(baseline.numbers.coarsened(numbers), baseline.categories.coarsened(categories), baseline.nulls)
    counted = [[each.current for each in _all_bins(rough, side, bins)] for side in sides]
    filled = [index for index, column in enumerate(zip(*counted, strict=True)) if any(column)]
    return [[row[index] for index in filled] for row in counted]


def _all_bins(baseline: Histogram, current: Histogram, bins: int) -> list[BinCounts]:
    """The same with those bins in which neither side has anything."""
    ranges, new_numbers = _number_bins(baseline.numbers, current.numbers, bins)
    categories, new_categories = _category_bins(baseline.categories, current.categories, baseline.total / bins)
    return [
        *ranges,
        *categories,
        BinCounts("new", 0, new_numbers + new_categories),
        BinCounts("null", baseline.nulls, current.nulls),
    ]


def _number_bins(baseline: CellCounts, current: CellCounts, bins: int) -> tuple[list[BinCounts], int]:
    """The range bins, and how many numbers of the current side lie in none."""
    if not baseline.cells:
        return [], current.total
    dropped = max(baseline.dropped, current.dropped)
    baseline, current = baseline.coarsened(dropped), current.coarsened(dropped)
    borders = _borders(baseline, bins)
    starts, ends = np.array(borders, dtype=np.int64).T
    there, here = _counts_between(baseline, starts, ends), _counts_between(current, starts, ends)
    edges = {cell: _edge(cell, dropped) for cell in set(chain.from_iterable(borders))}
    ranges = [
        BinCounts("range", was, now, edges[start], edges[end])
        for (start, end), was, now in zip(borders, there.tolist(), here.tolist(), strict=True)
    ]
    return ranges, current.total - int(here.sum())


def _borders(numbers: CellCounts, bins: int) -> list[tuple[int, int]]:
    """(first cell, cell after the last) of each bin, in order: atoms, and the stretches between them cut up."""
    cells, counts = numbers.cell_array, numbers.count_array
    below = [0, *counts.cumsum().tolist()]
    per_bin = below[-1] / bins
    borders: list[tuple[int, int]] = []
    first, reach = 0, _BEFORE_ALL
    for atom in np.flatnonzero((counts >= per_bin) & (counts > 1)).tolist():
        at = int(cells[atom])
        borders += _stretch(cells[first:atom], below[first : atom + 1], per_bin, (reach, at))
        borders.append((at, at + 1))
        first, reach = atom + 1, at + 1
    return borders + _stretch(cells[first:], below[first:], per_bin, (reach, _AFTER_ALL))


def _stretch(cells: Cells, below: list[int], per_bin: float, reach: tuple[int, int]) -> list[tuple[int, int]]:
    """Cut a stretch of cells without atoms at its quantiles; the bins together fill `reach`."""
    if len(cells) == 0:
        return []
    inner = [int(cells[cut]) for cut in _quantile_cuts(below, per_bin)]
    return list(pairwise((reach[0], *inner, reach[1])))


def _quantile_cuts(below: list[int], per_bin: float) -> list[int]:
    """Where to cut a row of counts into bins of about `per_bin`: before which of them, nearest to each quantile.

    `below` are the entries before each count, and before the end: one more than there are counts.
    """
    first, entries = below[0], below[-1] - below[0]
    pieces = max(1, round(entries / per_bin))
    cuts = set()
    for piece in range(1, pieces):
        target = first + entries * piece / pieces
        right = bisect_left(below, target)
        cuts.add(right - 1 if target - below[right - 1] < below[right] - target else right)
    return sorted(cuts - {0, len(below) - 1})


def _counts_between(side: CellCounts, starts: Cells, ends: Cells) -> NDArray[np.int64]:
    """How many numbers lie in the cells starts[i] … ends[i] − 1."""
    below = np.concatenate(([0], side.count_array.cumsum()))
    cells = side.cell_array
    return below[np.searchsorted(cells, ends)] - below[np.searchsorted(cells, starts)]


def _edge(cell: int, dropped: int) -> float | None:
    """The number at which a bin begins or ends; None where it is unbounded."""
    if cell in {_BEFORE_ALL, _AFTER_ALL}:
        return None
    edge = lower_edge(cell, dropped)
    return edge if math.isfinite(edge) else None


def _category_bins(baseline: CategoryCounts, current: CategoryCounts, per_bin: float) -> tuple[list[BinCounts], int]:
    """The bins of categories and of the rare ones, and how many of the current side are unseen."""
    dropped = max(baseline.dropped, current.dropped)
    known, seen_now = baseline.coarsened(dropped).keyed(), current.coarsened(dropped).keyed()
    frequent, rare = [], []
    for key, (label, was) in known.items():
        now = seen_now[key][1] if key in seen_now else 0
        if 2 * was >= per_bin:
            frequent.append(BinCounts("category", was, now, value=_shown(label, dropped)))
        else:
            rare.append((hash_of(label), was, now))
    frequent.sort(key=lambda each: (-each.baseline, each.value))
    unseen = sum(count for key, (_, count) in seen_now.items() if key not in known)
    return frequent + _rare_bins(sorted(rare), per_bin), unseen


def _rare_bins(rare: list[tuple[int, int, int]], per_bin: float) -> list[BinCounts]:
    """Cut (hash, baseline, current) of the rare categories, in the order of their hashes, at quantiles."""
    if not rare:
        return []
    cuts = _quantile_cuts(list(accumulate((was for _, was, _ in rare), initial=0)), per_bin)
    return [
        BinCounts("other", sum(was for _, was, _ in rare[start:end]), sum(now for _, _, now in rare[start:end]))
        for start, end in pairwise((0, *cuts, len(rare)))
    ]


def _shown(label: str, dropped: int) -> str:
    """A hash cell holds a group of names; say so."""
    return f"{label} and others" if dropped else label
