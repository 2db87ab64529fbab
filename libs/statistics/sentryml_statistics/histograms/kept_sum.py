"""A sum of panes that is kept from one evaluation to the next and updated by difference.

A window moves a little between two evaluations: a few panes enter, a few leave. Adding the first and taking away the
second costs the same however many panes or events there are. Invariant: the result is that of a fresh sum.

A fresh sum of numbers drops as many bits as its coarsest pane, or more where it would not fit otherwise. What is left
of a sum after panes have been taken away has dropped at least as many. They are the same

  - where a pane is in it that is as coarse, or
  - where what is left does not fit yet: the fresh sum does not, either, and both are fitted alike.

So that the second is the rule, the sum is kept with room for more cells than a histogram may have, and fitted for
each result: at the fewest bits that leave at most ROOM · MAX_CELLS cells there are mostly more than MAX_CELLS.
Only where neither holds is a fresh sum made; and of hashed categories, whose label may have left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import compress
from operator import is_not
from typing import Generic, TypeVar

from sentryml_statistics.histograms.cell_counts import MAX_CELLS
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts, merge_panes

ROOM = 3
"""With less, more sums end up just above MAX_CELLS, where a few panes that leave make a fresh sum necessary."""

EXACT = tuple(histogram.numbers.dropped for histogram in EMPTY_PANE.histograms)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class KeptSum(Generic[K, V]):
    """The sum over some panes; `read` gives the counts of one. A pane is known by its key and the identity of its
    value, mostly packed counts."""

    __slots__ = ("_coarse", "_panes", "_read", "_result", "_roomy")

    def __init__(self, read: Callable[[V], PaneCounts]) -> None:
        self._read = read
        self._panes: Mapping[K, V] = {}
        self._roomy = self._result = EMPTY_PANE
        self._coarse: dict[K, tuple[int, ...]] = {}

    def of(self, panes: Mapping[K, V]) -> PaneCounts:
        """The sum over exactly these panes, as a fresh sum would be."""
        known = self._panes
        gone, new = _missing_in(panes, known), _missing_in(known, panes)
        if gone or new:
            if len(gone) + len(new) >= len(panes) or not self._moved(panes, gone, new):
                self._coarse.clear()
                self._roomy = merge_panes(self._unpacked(panes, panes), ROOM)
            self._panes, self._result = panes, self._roomy.fitted()
        return self._result

    def _moved(self, panes: Mapping[K, V], gone: list[K], new: list[K]) -> bool:
        """Take away what has gone and add what is new; whether that leaves what a fresh sum would be."""
        if gone:
            self._roomy -= merge_panes((self._read(self._panes[key]) for key in gone), ROOM)
            for key in gone:
                self._coarse.pop(key, None)
        self._roomy = merge_panes([self._roomy, *self._unpacked(panes, new)], ROOM)
        return not gone or all(
            histogram.categories.dropped == 0
            and (histogram.numbers.dropped == coarsest or len(histogram.numbers.cells) > MAX_CELLS)
            for histogram, coarsest in zip(self._roomy.histograms, self._coarsest(), strict=True)
        )

    def _unpacked(self, panes: Mapping[K, V], keys: Iterable[K]) -> Iterator[PaneCounts]:
        """Some panes, noting those whose numbers are not at full precision."""
        for key in keys:
            counts = self._read(panes[key])
            dropped = tuple(histogram.numbers.dropped for histogram in counts.histograms)
            if any(dropped):
                self._coarse[key] = dropped
            yield counts

    def _coarsest(self) -> tuple[int, ...]:
        """The most dropped bits of any pane that is in, per signal."""
        return tuple(max(dropped) for dropped in zip(EXACT, *self._coarse.values(), strict=True))


def _missing_in(others: Mapping[K, V], panes: Mapping[K, V]) -> list[K]:
    """The keys of those panes that are not among the others, by the identity of their values."""
    return list(compress(panes, map(is_not, map(others.get, panes), panes.values())))
