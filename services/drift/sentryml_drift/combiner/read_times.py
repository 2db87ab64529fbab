"""Up to which time the partitions of this worker have been read, shown by offsets alone: no record's timestamp counts.

Every few seconds Kafka is asked where the partitions end. Once reading has come to an end that was asked for at some
time, everything that was in the log by then has been read.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

MOST_ENDS = 1_000
"""Ends that are kept per partition while reading lags behind: more than an hour's."""


class ReadTimes:
    """Compares how far reading has come with where partitions ended."""

    def __init__(self) -> None:
        self._ends: defaultdict[int, deque[tuple[float, int]]] = defaultdict(lambda: deque(maxlen=MOST_ENDS))
        self._read_until: dict[int, float] = {}

    def asked(self, at: float, ends: Mapping[int, int]) -> None:
        """At a time (epoch seconds), partitions ended before these offsets."""
        for partition, end in ends.items():
            self._ends[partition].append((at, end))

    def forget(self) -> None:
        """What has been read until now is read again, since it may not have been reported."""
        self._read_until.clear()

    def read(self, offsets: Mapping[int, int]) -> dict[int, float]:
        """Up to which time each of these partitions has been read, now that everything before these offsets has been
        emitted and acknowledged; without those of which no end has been reached."""
        for partition, offset in offsets.items():
            ends = self._ends[partition]
            while ends and ends[0][1] <= offset:
                self._read_until[partition] = ends.popleft()[0]
        return {partition: self._read_until[partition] for partition in offsets if partition in self._read_until}
