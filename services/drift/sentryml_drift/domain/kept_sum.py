"""A sum of panes that is kept from one look to the next and updated by difference.

A window moves a little between two evaluations: a few panes enter, a few leave. Adding the first and taking away the
second costs the same however many panes or events there are. Invariant: the result is that of a fresh sum.
Entering panes keep it, since a sum does not depend on order or grouping. Leaving ones keep it while nothing was
ever coarsened; otherwise a fresh sum may be finer than what is left of the kept one, and is made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from sentryml_drift.domain.pane_counts import EMPTY_PANE, PaneCounts, merge_panes

K = TypeVar("K", bound=Hashable)


class KeptSum(Generic[K]):
    """The sum over some panes; `read` unpacks one. A pane is known by its key and the identity of its bytes."""

    __slots__ = ("_panes", "_read", "_total")

    def __init__(self, read: Callable[[bytes], PaneCounts]) -> None:
        self._read = read
        self._panes: Mapping[K, bytes] = {}
        self._total = EMPTY_PANE

    def of(self, panes: Mapping[K, bytes]) -> PaneCounts:
        """The sum over exactly these panes, as a fresh sum would be."""
        known = self._panes
        gone = [packed for key, packed in known.items() if panes.get(key) is not packed]
        new = [packed for key, packed in panes.items() if known.get(key) is not packed]
        if len(gone) + len(new) >= len(panes) or (gone and not self._total.exact):
            self._total = merge_panes(map(self._read, panes.values()))
        else:
            if gone:
                self._total -= merge_panes(map(self._read, gone))
            if new:
                self._total = merge_panes([self._total, *map(self._read, new)])
        self._panes = panes
        return self._total
