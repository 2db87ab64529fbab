"""The watchdog: input waits and none of it is taken in. A process in that state is ended, to be started again.

Kafka's clients have ways to stand still that no error tells of; moving is the only sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sentryml_common.errors import SentryMLError
from sentryml_common.http.health import Health

WATCH_SECONDS = 5.0
WORTH_SAYING_SECONDS = 15.0
"""Input that waits for less than this is on its way; a worker that has stood still for longer is not ready."""


class Stalled(SentryMLError):
    """Input has waited too long; only a restart helps."""


class Watchdog:
    """Looks at how far the work has come, now and then."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._places: Mapping[int, int] = {}
        self._moved_at: float | None = None
        self._waiting_since: float | None = None
        self._lag = 0

    def reset(self, now: float) -> None:
        """At `now` (seconds of any clock) there is a good reason to stand still."""
        self._moved_at, self._waiting_since = now, None

    def check(self, lag: int, places: Mapping[int, int], now: float) -> None:
        """See that places (by partition) have moved on, or that nothing waits.

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
            raise Stalled(f"{lag} records of input wait, and none was taken in for {self._stall_seconds:g} s")

    def show(self, health: Health, now: float, at: datetime) -> None:
        """Say on `/readyz` that input waits, since when and how much; not ready where none of it is taken in. `at` is
        the time of day at `now`."""
        waited = 0.0 if self._waiting_since is None else now - self._waiting_since
        still = 0.0 if self._moved_at is None else now - self._moved_at
        since = f"{at - timedelta(seconds=waited):%Y-%m-%d %H:%M:%S} UTC"
        words = f"{self._lag:,} records of input wait; there has been a backlog since {since} ({waited:.0f} s)"
        if waited >= WORTH_SAYING_SECONDS and still >= WORTH_SAYING_SECONDS:
            health.waiting("input", f"{words}, and none was taken in for {still:.0f} s")
        else:
            health.ready("input")
        health.details("input", {"backlog": words} if waited >= WORTH_SAYING_SECONDS else {})
