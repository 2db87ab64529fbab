"""Values as bytes that still add up: unpacked only where they have to be.

Most partials replace the one before them in an open chunk. For that nothing has to be unpacked; adding up, which
needs it, happens once a chunk, when it is sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sentryml_drift.domain.codec import check_packed
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.pane_counts import EMPTY_PANE, HISTOGRAMS_PER_PANE, PaneCounts


@dataclass(frozen=True, slots=True)
class PackedCounts:
    """The counts of a pane.

    Raises:
        UndecodableMessage: `data` is not what `PaneCounts.pack` makes.
    """

    data: bytes

    def __post_init__(self) -> None:
        check_packed(self.data, HISTOGRAMS_PER_PANE)

    def __add__(self, other: Self) -> Self:
        return type(self)((PaneCounts.unpack(self.data) + PaneCounts.unpack(other.data)).pack())

    def pack(self) -> bytes:
        """The bytes."""
        return self.data


@dataclass(frozen=True, slots=True)
class PackedFacts:
    """The facts of a model.

    Raises:
        UndecodableMessage: `data` is not what `ModelFacts.pack` makes.
    """

    data: bytes

    def __post_init__(self) -> None:
        ModelFacts.unpack(self.data)

    def __add__(self, other: Self) -> Self:
        return type(self)((ModelFacts.unpack(self.data) + ModelFacts.unpack(other.data)).pack())

    def pack(self) -> bytes:
        """The bytes."""
        return self.data


NO_COUNTS = PackedCounts(EMPTY_PANE.pack())
NO_FACTS = PackedFacts(ModelFacts().pack())
