"""How fast a channel may send: a token bucket, kept as the moment when it is full again.

That one moment is all there is to store, so replicas that take turns on it share one bucket, and a restart forgets
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of messages a second in the long run, and at most `burst` of them at once."""

    per_second: float
    burst: int = 1

    def free_at(self, full_at: datetime | None, now: datetime) -> datetime:
        """When the next message may leave: `now`, or later. `full_at` is when the bucket is full, None if it is."""
        if full_at is None:
            return now
        # Never longer than from an empty bucket: the rate may have been raised since, or a clock been wrong.
        full_at = min(full_at, now + self.burst * self._interval)
        return max(now, full_at - (self.burst - 1) * self._interval)

    def full_after(self, full_at: datetime | None, now: datetime) -> datetime:
        """When the bucket is full again after a message that leaves `now`."""
        return max(now, full_at or now) + self._interval

    @property
    def _interval(self) -> timedelta:
        return timedelta(seconds=1 / self.per_second)
