"""The watchdog: input waits and none of it is processed. A process in that state exits, to be restarted.

Kafka's clients may stop without an error; progress is the only reliable sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sentryml_common.errors import SentryMLError
from sentryml_common.health import Health

WATCH_SECONDS = 5.0
REPORTED_AFTER_SECONDS = 15.0
"""Input that waits for less than this is normal; a worker without progress for longer is not ready."""


class Stalled(SentryMLError):
    """Input has waited too long; only a restart helps."""


class Watchdog:
    """Checks periodically that the work makes progress."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._places: Mapping[int, int] = {}
        self._moved_at: float | None = None
        self._waiting_since: float | None = None
        self._lag = 0

    def reset(self, now: float) -> None:
        """At `now` (seconds of any clock) there is a good reason for no progress."""
        self._moved_at, self._waiting_since = now, None

    def check(self, lag: int, places: Mapping[int, int], now: float) -> None:
        """Check that places (by partition) have advanced, or that nothing waits.

        Raises:
            Stalled: `lag` records wait, and the places have been the same for `stall_seconds`.
        """
        self._lag = lag
        if lag == 0:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        if self._moved_at is None or lag == 0 or places != self._places:
            self._places, self._moved_at = dict(places), now
        elif now - self._moved_at > self._stall_seconds:
            raise Stalled(f"{lag} records of input are waiting, and none was processed for {self._stall_seconds:g} s")

    def show(self, health: Health, now: float, at: datetime) -> None:
        """Report on `/readyz` since when how much input waits; not ready where none of it is processed. `at` is the
        time of day at `now`."""
        waited = 0.0 if self._waiting_since is None else now - self._waiting_since
        still = 0.0 if self._moved_at is None else now - self._moved_at
        since = f"{at - timedelta(seconds=waited):%Y-%m-%d %H:%M:%S} UTC"
        backlog = f"{self._lag:,} records of input are waiting; there has been a backlog since {since} ({waited:.0f} s)"
        if waited >= REPORTED_AFTER_SECONDS and still >= REPORTED_AFTER_SECONDS:
            health.waiting("input", f"{backlog}, and none was processed for {still:.0f} s")
        else:
            health.ready("input")
        health.details("input", {"backlog": backlog} if waited >= REPORTED_AFTER_SECONDS else {})
