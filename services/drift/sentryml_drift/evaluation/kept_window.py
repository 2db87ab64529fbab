"""The panes of a window that hold events, packed as the table has them, and the sum that is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.comparison.from_panes import Times
from sentryml_statistics.histograms.kept_sum import KeptSum
from sentryml_statistics.histograms.pane_counts import PaneCounts


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """`times_of` says when panes begin and end (epoch seconds), `events_of` how many events one holds."""

    kept: KeptSum[int, bytes]
    panes: Mapping[int, bytes]
    times_of: Callable[[NDArray[np.int64]], tuple[Times, Times]]
    events_of: Callable[[int], int]

    def __len__(self) -> int:
        return len(self.panes)

    def sum(self) -> PaneCounts:
        return self.kept.of(self.panes)

    def times(self) -> tuple[Times, Times]:
        return self.times_of(np.fromiter(self.panes, dtype=np.int64))

    def events_until(self, time: float) -> int:
        over = self.times()[1] <= time
        return sum(self.events_of(pane) for pane, before in zip(self.panes, over.tolist(), strict=True) if before)
