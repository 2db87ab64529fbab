"""Models whose evaluations are missing, and whether they have stopped for most: then the fault is SentryML's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

MISSED = 3
"""The number of evaluations that have to be missing."""
GRACE, LONGEST_DELAY = timedelta(seconds=30), timedelta(minutes=1)
"""An evaluation is made after its time: after a delay of its model, up to `every` and usually to a minute, and when the
last events have had time to arrive."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a model was evaluated last, and how often it should be, by a monitor that is in force since a time."""

    evaluated_at: datetime | None
    every: timedelta
    in_force_since: datetime
    enabled: bool = True


def not_evaluated_since(schedule: Schedule, now: datetime) -> datetime | None:
    """When the newest evaluation was made, where the three that were due since are missing; else None. Nothing is
    missing of a monitor that is off, nor before the first evaluation."""
    if not schedule.enabled or schedule.evaluated_at is None:
        return None
    expected_since = max(schedule.evaluated_at, schedule.in_force_since)
    late = MISSED * schedule.every + min(schedule.every, LONGEST_DELAY) + GRACE
    return schedule.evaluated_at if now > expected_since + late else None


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """How many models should be evaluated, and those that are not, with the time of their newest evaluation."""

    expected: int
    since: Mapping[str, datetime]

    @property
    def stopped_at(self) -> datetime | None:
        """When evaluations stopped, where they did for most models; else None."""
        return max(self.since.values()) if 2 * len(self.since) > self.expected else None

    @property
    def why(self) -> str:
        """Why a model among them is not evaluated, as far as that is known from the others."""
        missing, expected = len(self.since), self.expected
        which = f"{missing} of {expected} models {'is' if missing == 1 else 'are'} not evaluated"
        if self.stopped_at is None:
            return f"{which}: a drift processor may have lost its part of the models. Its log says why."
        if missing == expected:
            which = "No model is evaluated"
        return f"{which}: is a drift processor running, and does it reach Kafka? Its /readyz says what it waits for."
