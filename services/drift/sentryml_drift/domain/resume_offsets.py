"""How far a source partition is combined: from which offset on the records of each size class are still needed.

The committed offset of the group is the lowest of them; the others travel in the commit's metadata. What a restart
reads again is then less than one chunk of each size class, however long a chunk of small records takes to fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sentryml_drift.domain.chunks import SIZE_CLASSES

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Places:
    """By size class, the first offset whose record is needed again after a restart."""

    needed: tuple[int, ...]

    @classmethod
    def all_from(cls, offset: int) -> Self:
        """Every record from `offset` on is needed."""
        return cls((offset,) * len(SIZE_CLASSES))

    @classmethod
    def committed(cls, offset: int, metadata: str) -> Self:
        """What a commit says. Where it is not one of ours (somebody has moved the group), the offset may lie within a
        chunk, and is taken back to the start of the longest."""
        version, _, listed = metadata.partition(":")
        needed = tuple(int(each) for each in listed.split(",") if each.isdecimal())
        if version == VERSION and len(needed) == len(SIZE_CLASSES) and min(needed) == offset:
            return cls(needed)
        longest = SIZE_CLASSES[0]
        return cls.all_from(longest.chunk_of(offset) * longest.offsets)

    @property
    def offset(self) -> int:
        """Where reading begins."""
        return min(self.needed)

    @property
    def metadata(self) -> str:
        """What a commit carries beside the offset."""
        return f"{VERSION}:{','.join(map(str, self.needed))}"
