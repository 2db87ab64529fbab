"""PSI over time: what was found of each signal at each moment, and the span of time that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.evaluation import Level, Signal


@dataclass(frozen=True, slots=True)
class EvaluationPoint:
    """What was found of one signal at one moment; None where there was too little data. `segment` is that of one which
    drifted by itself, None for all predictions."""

    at: datetime
    signal: Signal
    level: Level
    psi: float | None
    warn_at: float | None = None
    critical_at: float | None = None
    noise_floor: float | None = None
    current_count: int | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a chart shows; evaluations in it are `step` apart, or joined to such."""

    start: datetime
    end: datetime
    step: timedelta

    def place(self, at: datetime) -> float:
        """A moment's distance from the left edge."""
        length = (self.end - self.start).total_seconds()
        return round(100 * min(1.0, max(0.0, (at - self.start).total_seconds() / length)), 2) if length > 0 else 0.0
