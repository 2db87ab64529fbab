"""Counts of numbers in cells: exact until they cannot be, then as fine as memory allows.

Invariant: at most MAX_CELLS cells, at the fewest dropped bits at which the numbers counted fit. That number of
bits, like the counts, is a function of the multiset of numbers alone: cells are nested, so it does not matter
in which order or grouping numbers were counted. (Only a difference may be coarser than its own numbers need. A
sum that is to be added to and taken away from may have more cells, and is `fitted` where it is used.)

Most histograms of a pane hold a handful of numbers, where numpy's fixed cost is all the cost. So cells and
counts are kept in stdlib arrays, which Python loops read directly and numpy reads without a copy.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.histograms.cells import Cells, cell_of, cells_of, coarsen, separations

MAX_CELLS = 1024

FEW = 48
"""Up to this many cells a Python loop beats numpy (measured; it must stay far below MAX_CELLS)."""

MERGED_AT_ONCE = 8 * MAX_CELLS


@dataclass(frozen=True, slots=True)
class CellCounts:
    """Sorted distinct `cells` at `dropped` bits, and how many numbers (≥ 1) each holds; both of type 'q'."""

    dropped: int
    cells: array[int]
    counts: array[int]

    @classmethod
    def of(cls, numbers: Sequence[float] | NDArray[np.float64]) -> CellCounts:
        """Count finite numbers."""
        if len(numbers) == 0:
            return NO_NUMBERS
        if len(numbers) <= FEW:
            few = numbers.tolist() if isinstance(numbers, np.ndarray) else numbers
            return _of_few(0, _counted(map(cell_of, few)))
        cells, counts = np.unique(cells_of(np.asarray(numbers, dtype=np.float64)), return_counts=True)
        return _fitted(0, cells, counts)

    @classmethod
    def of_counted(cls, counted: Sequence[tuple[float, int]]) -> CellCounts:
        """Take finite numbers as counted (each count ≥ 1), in any order."""
        if not counted:
            return NO_NUMBERS
        numbers, counts = zip(*counted, strict=True)
        cells = cells_of(np.array(numbers, np.float64))
        return _fitted(0, *_summed(cells, np.array(counts, np.int64)))

    @classmethod
    def of_runs(cls, numbers: NDArray[np.float64], starts: Sequence[int]) -> list[CellCounts]:
        """Count the numbers of many runs at once, as `of` would each; `starts` says where runs begin, and the end of
        the last. NaN is no number."""
        run_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        there = ~np.isnan(numbers)
        found, runs = cells_of(numbers[there]), run_of[there]
        order = np.lexsort((found, runs))
        found, runs = found[order], runs[order]
        changes = np.ones(len(found), np.bool_)
        changes[1:] = (found[1:] != found[:-1]) | (runs[1:] != runs[:-1])
        first = changes.nonzero()[0]
        ends = np.searchsorted(runs[first], np.arange(len(starts))).tolist()
        cells = array("q", found[first].tobytes())
        counts = array("q", np.diff(first, append=len(found)).tobytes())
        return [
            cls(0, cells[begin:end], counts[begin:end]).fitted() if begin < end else NO_NUMBERS
            for begin, end in pairwise(ends)
        ]

    @classmethod
    def of_sorted(cls, dropped: int, cells: Cells, counts: NDArray[np.int64]) -> CellCounts:
        """Put together counts of cells in order, in which a cell may be repeated; not empty."""
        return _frozen(dropped, *_grouped(cells, counts))

    @property
    def cell_array(self) -> Cells:
        """The cells as a numpy array (int64[n], no copy)."""
        return np.asarray(self.cells)

    @property
    def count_array(self) -> NDArray[np.int64]:
        """The counts as a numpy array (int64[n], no copy)."""
        return np.asarray(self.counts)

    @property
    def total(self) -> int:
        """How many numbers were counted."""
        return sum(self.counts) if len(self.counts) <= FEW else int(self.count_array.sum())

    def coarsened(self, dropped: int) -> CellCounts:
        """Return the same counts at more dropped bits."""
        if dropped == self.dropped or not self.cells:
            return self
        return CellCounts.of_sorted(dropped, coarsen(self.cell_array, self.dropped, dropped), self.count_array)

    def fitted(self, most: int = MAX_CELLS) -> CellCounts:
        """Return the same counts in at most `most` cells."""
        return self if len(self.cells) <= most else _fitted(self.dropped, self.cell_array, self.count_array, most)

    def __add__(self, other: CellCounts) -> CellCounts:
        if not other.cells:
            return self
        if not self.cells:
            return other
        if self.dropped == other.dropped and len(self.cells) + len(other.cells) <= FEW:
            return self._plus_few(other)
        return merge_cell_counts((self, other))

    def _plus_few(self, other: CellCounts) -> CellCounts:
        counts = dict(zip(self.cells, self.counts, strict=True))
        for cell, count in zip(other.cells, other.counts, strict=True):
            counts[cell] = counts.get(cell, 0) + count
        return _of_few(self.dropped, counts)

    def __sub__(self, other: CellCounts) -> CellCounts:
        """Take away what `other` counted, at the coarser precision of both.

        Raises:
            ValueError: `other` holds numbers that this does not.
        """
        if not other.cells:
            return self
        dropped = max(self.dropped, other.dropped)
        whole, part = self.coarsened(dropped), other.coarsened(dropped)
        cells, counts = whole.cell_array, whole.count_array.copy()
        at = np.searchsorted(cells, part.cell_array)
        if at[-1] == len(cells) or not np.array_equal(cells[at], part.cell_array):
            raise ValueError("cannot subtract: numbers in cells where there are none")
        counts[at] -= part.count_array
        if counts.min() < 0:
            raise ValueError("cannot subtract: more numbers than there are")
        left = counts > 0
        return _frozen(dropped, cells[left], counts[left]) if left.any() else NO_NUMBERS


NO_NUMBERS = CellCounts(0, array("q"), array("q"))


def merge_cell_counts(parts: Iterable[CellCounts], most: int = MAX_CELLS) -> CellCounts:
    """Return the sum of many in at most `most` cells, by one sort per MERGED_AT_ONCE cells."""
    waiting, cells = [NO_NUMBERS], 0
    for part in parts:
        if part.cells:
            waiting.append(part)
            cells += len(part.cells)
        if cells > MERGED_AT_ONCE:
            waiting = [_merged(waiting, most)]
            cells = len(waiting[0].cells)
    return _merged(waiting, most)


def _merged(parts: list[CellCounts], most: int) -> CellCounts:
    filled = [part for part in parts if part.cells]
    if len(filled) <= 1:
        return filled[0].fitted(most) if filled else NO_NUMBERS
    dropped = max(part.dropped for part in filled)
    cells = [coarsen(part.cell_array, part.dropped, dropped) for part in filled]
    counts = np.concatenate([part.count_array for part in filled])
    return _fitted(dropped, *_summed(np.concatenate(cells), counts), most)


def _summed(cells: Cells, counts: NDArray[np.int64]) -> tuple[Cells, NDArray[np.int64]]:
    """Distinct cells in order, with their counts added up; the input is one or more sorted runs."""
    order = cells.argsort(kind="stable")
    return _grouped(cells[order], counts[order])


def _grouped(cells: Cells, counts: NDArray[np.int64]) -> tuple[Cells, NDArray[np.int64]]:
    """The same of cells that are in order already."""
    changes = np.empty(len(cells), np.bool_)
    changes[0] = True
    np.not_equal(cells[1:], cells[:-1], out=changes[1:])
    first = changes.nonzero()[0]
    return cells[first], np.add.reduceat(counts, first)


def _fitted(dropped: int, cells: Cells, counts: NDArray[np.int64], most: int = MAX_CELLS) -> CellCounts:
    """Drop the fewest bits that leave at most `most` cells: as many as the `most`-th widest gap has."""
    if len(cells) > most:
        bits = int(np.partition(separations(cells), -most)[-most])
        cells, counts = _grouped(coarsen(cells, 0, bits), counts)
        dropped += bits
    return _frozen(dropped, cells, counts)


def _frozen(dropped: int, cells: Cells, counts: NDArray[np.int64]) -> CellCounts:
    return CellCounts(dropped, array("q", cells.tobytes()), array("q", counts.tobytes()))


def _counted(cells: Iterable[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for cell in cells:
        counts[cell] = counts.get(cell, 0) + 1
    return counts


def _of_few(dropped: int, counts: Mapping[int, int]) -> CellCounts:
    """Put counts by cell in order; they are too few to fill MAX_CELLS."""
    cells = sorted(counts)
    return CellCounts(dropped, array("q", cells), array("q", [counts[cell] for cell in cells]))
