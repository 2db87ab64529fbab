"""Counts of categories: by name while they are few, beyond that by the leading bits of a hash of the name.

Invariant: at most MAX_CATEGORIES entries, at the fewest dropped bits at which the names counted fit, so that
the result is a function of the multiset of names alone, as with numbers. Drift in a long tail of names stays
visible, because a hash cell is a fixed group of names.

An entry is kept under a label. At no dropped bits the label is the name itself; else it is, of the names that
were counted in the cell, the one with the least hash: a choice that merging keeps. The cell is the label's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

MAX_CATEGORIES = 256

CategoryKey = str | int
"""What entries are compared by: the name, or the hash cell."""


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """How many events (≥ 1) had each category, by label; not to be changed."""

    dropped: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, categories: Iterable[str] | Mapping[str, int]) -> CategoryCounts:
        """Count names, or take them as counted."""
        if not categories:
            return NO_CATEGORIES
        if isinstance(categories, Mapping):
            counts = {name: count for name, count in categories.items() if count}
        else:
            counts = {}
            for name in categories:
                counts[name] = counts.get(name, 0) + 1
        return _fitted(0, counts) if counts else NO_CATEGORIES

    @property
    def total(self) -> int:
        """How many events had a category."""
        return sum(self.counts.values())

    def keyed(self) -> dict[CategoryKey, tuple[str, int]]:
        """Return label and count by what is compared: the name, or its hash cell."""
        return {_key(label, self.dropped): (label, count) for label, count in self.counts.items()}

    def counts_of(self, labels: Iterable[str]) -> list[int]:
        """Return the count of each name, or of the hash cell that it is in."""
        if not self.dropped:
            return [self.counts.get(label, 0) for label in labels]
        keyed = self.keyed()
        return [keyed.get(_key(label, self.dropped), ("", 0))[1] for label in labels]

    def coarsened(self, dropped: int) -> CategoryCounts:
        """Return the same counts at more dropped bits.

        Raises:
            ValueError: `dropped` is less: names that were given up do not come back.
        """
        if dropped < self.dropped:
            raise ValueError(f"categories at {self.dropped} dropped bits cannot be refined to {dropped}")
        if dropped == self.dropped:
            return self
        return CategoryCounts(dropped, _by_cell(self.counts.items(), dropped))

    def fitted(self, most: int = MAX_CATEGORIES) -> CategoryCounts:
        """Return the same counts in at most `most` entries."""
        return self if len(self.counts) <= most else _fitted(self.dropped, self.counts, most)

    def __add__(self, other: CategoryCounts) -> CategoryCounts:
        if not other.counts:
            return self
        return merge_category_counts((self, other))

    def __sub__(self, other: CategoryCounts) -> CategoryCounts:
        """Take away what `other` counted, at the coarser precision of both; a hash cell keeps its label.

        Raises:
            ValueError: `other` holds categories that this does not.
        """
        if not other.counts:
            return self
        dropped = max(self.dropped, other.dropped)
        left = self.coarsened(dropped).keyed()
        for key, (name, count) in other.coarsened(dropped).keyed().items():
            label, whole = left.get(key, (name, 0))
            if whole < count:
                raise ValueError(f"cannot subtract: more of category {name!r} than there are")
            left[key] = (label, whole - count)
        counts = {label: count for label, count in left.values() if count}
        return CategoryCounts(dropped, counts) if counts else NO_CATEGORIES


NO_CATEGORIES = CategoryCounts()


def merge_category_counts(parts: Iterable[CategoryCounts], most: int = MAX_CATEGORIES) -> CategoryCounts:
    """Return the sum of many in at most `most` entries, at the coarsest precision of all or coarser."""
    filled = [part for part in parts if part.counts]
    if len(filled) <= 1:
        return filled[0].fitted(most) if filled else NO_CATEGORIES
    dropped = max(part.dropped for part in filled)
    if dropped:
        return _fitted(dropped, _by_cell((entry for part in filled for entry in part.counts.items()), dropped), most)
    counts = dict(filled[0].counts)
    for part in filled[1:]:
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
    return _fitted(0, counts, most)


@lru_cache(maxsize=1 << 16)
def hash_of(name: str) -> int:
    """64 bits that are the same in every process and for ever."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())


def _fitted(dropped: int, counts: dict[str, int], most: int = MAX_CATEGORIES) -> CategoryCounts:
    """Drop the fewest bits that leave at most `most` entries.

    Neighbouring hashes share a cell once the highest bit in which they differ is dropped, so as many bits go
    as the `most`-th widest gap has (compare `cells.separations`).
    """
    if len(counts) <= most:
        return CategoryCounts(dropped, counts)
    hashes = sorted(hash_of(label) for label in counts)
    widest = heapq.nlargest(most, ((left ^ right).bit_length() for left, right in pairwise(hashes)))
    dropped = max(dropped, widest[-1], 1)
    return CategoryCounts(dropped, _by_cell(counts.items(), dropped))


def _by_cell(entries: Iterable[tuple[str, int]], dropped: int) -> dict[str, int]:
    """Add up entries per hash cell, under the label with the least hash."""
    cells: dict[int, tuple[int, str, int]] = {}
    for label, count in entries:
        own = hash_of(label)
        found = cells.get(own >> dropped)
        if found is None:
            cells[own >> dropped] = (own, label, count)
        else:
            cells[own >> dropped] = (*min(found[:2], (own, label)), found[2] + count)
    return {label: count for _, label, count in cells.values()}


def _key(label: str, dropped: int) -> CategoryKey:
    return hash_of(label) >> dropped if dropped else label
