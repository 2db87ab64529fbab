"""Whether the combiner commits: whether what is committed moves while records come in. Pure.

No partition can take in 17,476 records without a commit (ADR 23). Age alone is no sign: with few events a chunk stays
open for hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_UNCOMMITTED = 20_000
STALLED_AFTER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Stand:
    """What a partition's group has committed, since when, and where the partition ended then."""

    committed: int
    since: datetime
    end: int


Stands = Mapping[int, Stand]


def observe(stands: Stands, committed: Mapping[int, int], ends: Mapping[int, int], now: datetime) -> dict[int, Stand]:
    """How partitions stand after another check; where a commit has moved, it is counted from now."""
    found = {}
    for partition, offset in committed.items():
        known = stands.get(partition)
        if known is None or known.committed != offset:
            known = Stand(offset, now, ends.get(partition, offset))
        found[partition] = known
    return found


def stalled_since(stands: Stands, ends: Mapping[int, int], now: datetime) -> datetime | None:
    """Since when nothing has been committed of a partition that takes in records; None if all is well."""
    stalled = [
        stand.since
        for partition, stand in stands.items()
        if now - stand.since >= STALLED_AFTER and ends.get(partition, stand.end) - stand.end > MOST_UNCOMMITTED
    ]
    return min(stalled, default=None)
