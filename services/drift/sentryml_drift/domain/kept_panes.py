"""Which panes of one resolution are kept: the young ones, and older ones that a held baseline is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptPanes:
    """All panes from `first` on, and before it those in the `held` ranges, which are in order and may overlap."""

    first: int
    held: tuple[range, ...] = ()

    def __contains__(self, pane: int) -> bool:
        return pane >= self.first or any(pane in each for each in self.held)

    @property
    def oldest(self) -> int:
        """No pane before this one is kept."""
        return min((self.first, *(each.start for each in self.held)))

    def gaps(self, begin: int) -> Iterator[range]:
        """The panes from `begin` on that are not kept."""
        for each in (*self.held, range(self.first, self.first)):
            if begin < each.start:
                yield range(begin, min(each.start, self.first))
            begin = max(begin, each.stop)
            if begin >= self.first:
                return
