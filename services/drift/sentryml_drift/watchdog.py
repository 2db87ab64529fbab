"""The watchdog: input waits and none of it is taken in. A process in that state is ended, to be started again.

Kafka's clients have ways to stand still that no error tells of; moving is the only sign.
"""

from __future__ import annotations

from collections.abc import Mapping

from sentryml_common.errors import SentryMLError

WATCH_SECONDS = 5.0


class Stalled(SentryMLError):
    """Input has waited too long; only a restart helps."""


class Watchdog:
    """Looks at how far the work has come, now and then."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._places: Mapping[int, int] = {}
        self._moved_at: float | None = None

    def excuse(self, now: float) -> None:
        """At `now` (seconds of any clock) there is a good reason to stand still."""
        self._moved_at = now

    def look(self, lag: int, places: Mapping[int, int], now: float) -> None:
        """See that places (by partition) have moved on, or that nothing waits.

        Raises:
            Stalled: `lag` records wait, and the places have been the same for `stall_seconds`.
        """
        if self._moved_at is None or lag == 0 or places != self._places:
            self._places, self._moved_at = dict(places), now
        elif now - self._moved_at > self._stall_seconds:
            raise Stalled(f"{lag} records of input wait, and none was taken in for {self._stall_seconds:g} s")
