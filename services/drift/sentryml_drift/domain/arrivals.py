"""Arrivals: in which fine panes a model's events came in, by the Kafka timestamps of their records; a bit each.

One value of the table holds a day of 1,440 fine panes. Bits are only ever set, so repetitions do no harm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np

from sentryml_drift.domain.chunked_sum import VERSION
from sentryml_statistics.time.pace import Panes
from sentryml_statistics.time.panes import FINE_PER_COARSE

COARSE_PER_DAY = 24
PANES_PER_DAY = COARSE_PER_DAY * FINE_PER_COARSE


def by_day(panes: Iterable[int]) -> dict[int, list[int]]:
    """Fine panes by the number of their day."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for pane in panes:
        found[pane // PANES_PER_DAY].append(pane)
    return found


def with_arrivals(known: bytes | None, panes: Iterable[int]) -> bytes:
    """A day's value with these panes of it; the very same one where they are in."""
    before = 0 if known is None else int.from_bytes(known[1:], "little")
    after = before
    for pane in panes:
        after |= 1 << pane % PANES_PER_DAY
    if known is not None and after == before:
        return known
    return bytes([VERSION]) + after.to_bytes(PANES_PER_DAY // 8, "little")


def panes_in(days: Mapping[int, bytes]) -> Panes:
    """The fine panes with arrivals, in order; `days` are values of the table by the number of the day, in order."""
    if not days:
        return np.empty(0, np.int64)
    bits = np.unpackbits(np.frombuffer(b"".join(value[1:] for value in days.values()), np.uint8), bitorder="little")
    firsts = np.fromiter(chain(days), np.int64, len(days)) * PANES_PER_DAY
    places = np.flatnonzero(bits)
    found: Panes = firsts[places // PANES_PER_DAY] + places % PANES_PER_DAY
    return found
