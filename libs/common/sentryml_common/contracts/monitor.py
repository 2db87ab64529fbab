"""`monitors.v1`: how a model is watched. One monitor per model; each change raises its version."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.message import Message, ModelId, Part

MINUTE, HOUR, DAY = 60, 3600, 86400

Seconds = Annotated[float, Field(ge=0, le=366 * DAY)]
Count = Annotated[int, Field(ge=1, le=1000)]


class MonitorSettings(Part):
    """The settings of a monitor; the defaults are the design's, for real days.

    Raises:
        ValidationError: a value is out of range, or two settings contradict each other; the message says
            which to change.
    """

    enabled: bool = Field(True, description="Whether the model is evaluated at all.")
    signals: tuple[Signal, ...] = Field((Signal.SCORE, Signal.PREDICTION), min_length=1, description="What is watched.")
    baseline_seconds: float = Field(7 * DAY, gt=0, le=366 * DAY, description="Length of the baseline window.")
    current_seconds: float = Field(1 * DAY, gt=0, le=92 * DAY, description="Length of the current window.")
    every_seconds: float = Field(5 * MINUTE, ge=1, le=DAY, description="Time between evaluations.")
    bins: int = Field(10, ge=2, le=100, description="Quantile bins of a numeric signal.")
    warn: float = Field(0.1, gt=0, le=100, description="PSI from which an evaluation is a warning.")
    critical: float = Field(0.2, gt=0, le=100, description="PSI from which an evaluation is critical.")
    min_samples: int | None = Field(None, ge=1, description="Fewest events per window; null means 5 per bin.")
    min_baseline_coverage: float = Field(0.5, ge=0, le=1, description="Part of the baseline that has to exist.")
    false_incidents_per_model_month: float = Field(0.1, gt=0, le=1000, description="False-alarm budget.")
    confirm_warn: Count = Field(2, description="Warning evaluations in a row that open an incident.")
    confirm_critical: Count = Field(1, description="Critical evaluations in a row that open or escalate.")
    confirm_deescalate: Count = Field(3, description="Evaluations below critical before the severity falls.")
    confirm_resolve: Count = Field(3, description="Clean evaluations in a row before the incident resolves.")
    resolve_below: float = Field(0.8, gt=0, le=1, description="Clean means PSI below this part of the warn threshold.")
    resolve_after_seconds: Seconds | None = Field(
        None, description="Least time clean; null: 10 min or 10 % of the window."
    )
    reopen_seconds: Seconds | None = Field(
        None, description="Drift this soon reopens; null: 1 h or a quarter of the window."
    )
    latch_seconds: Seconds = Field(1 * DAY, description="How long an incident closed while drifting stays quiet.")
    close_after_seconds: Seconds = Field(7 * DAY, description="A resolved incident is closed after this time.")

    @property
    def samples_needed(self) -> int:
        """Fewest events in either window for an evaluation to count."""
        return 5 * self.bins if self.min_samples is None else self.min_samples

    @property
    def resolve_dwell_seconds(self) -> float:
        """How long the data have to be clean before an incident resolves."""
        if self.resolve_after_seconds is not None:
            return self.resolve_after_seconds
        return max(10 * MINUTE, 0.1 * self.current_seconds)

    @property
    def reopen_window_seconds(self) -> float:
        """How long after resolving the same incident reopens."""
        if self.reopen_seconds is not None:
            return self.reopen_seconds
        return max(1 * HOUR, 0.25 * self.current_seconds)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warn >= self.critical:
            raise ValueError(
                f"warn ({self.warn:g}) must be below critical ({self.critical:g}): lower warn or raise critical"
            )
        if self.current_seconds > self.baseline_seconds:
            raise ValueError(
                f"current_seconds ({self.current_seconds:g}) must not exceed baseline_seconds "
                f"({self.baseline_seconds:g}): shorten the current window or lengthen the baseline"
            )
        if self.every_seconds > self.current_seconds:
            raise ValueError(
                f"every_seconds ({self.every_seconds:g}) must not exceed current_seconds ({self.current_seconds:g}): "
                "events between two evaluations would never be looked at"
            )
        if len(set(self.signals)) != len(self.signals):
            raise ValueError("signals names one signal twice: name each once")
        return self


class Monitor(MonitorSettings, Message):
    """A model's monitor, as published on `monitors.v1` (key: model_id; a tombstone deletes it)."""

    model_id: ModelId
    version: Annotated[int, Field(ge=1)]
