"""`monitors.v1`: how a model is watched. One monitor per model; each change raises its version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from sentryml_common.contracts.evaluation import Signal
from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime
from sentryml_common.contracts.normal_time import NormalTime

MINUTE, HOUR, DAY = 60, 3600, 86400

Seconds = Annotated[float, Field(ge=0, le=366 * DAY)]
Count = Annotated[int, Field(ge=1, le=1000)]


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"unknown time zone {name!r}: give a name of the IANA database, such as Europe/Berlin"
        ) from None
    return name


TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_time_zone)]


class MonitorValues(Part):
    """The settings of a monitor, each validated alone; the defaults are for real days.

    Raises:
        ValidationError: a value is out of range.
    """

    enabled: bool = Field(True, description="Whether the model is evaluated.")
    signals: tuple[Signal, ...] = Field((Signal.SCORE, Signal.PREDICTION), min_length=1, description="Watched fields.")
    baseline_seconds: float = Field(7 * DAY, gt=0, le=366 * DAY, description="Length of the baseline window.")
    current_seconds: float = Field(1 * DAY, gt=0, le=92 * DAY, description="Length of the current window.")
    every_seconds: float = Field(5 * MINUTE, ge=1, le=DAY, description="Time between evaluations.")
    bins: int = Field(10, ge=2, le=100, description="Quantile bins of a numeric signal.")
    warn: float = Field(0.1, gt=0, le=100, description="PSI from which an evaluation is a warning.")
    critical: float = Field(0.2, gt=0, le=100, description="PSI from which an evaluation is critical.")
    min_samples: int | None = Field(None, ge=1, description="Fewest events per window; null means 5 per bin.")
    min_baseline_coverage: float = Field(0.5, ge=0, le=1, description="Least coverage of the baseline.")
    false_incidents_per_model_month: float = Field(0.1, gt=0, le=1000, description="False-alarm budget.")
    confirm_warn: Count = Field(2, description="Warning evaluations in a row that open an incident.")
    confirm_critical: Count = Field(
        1, description="Critical evaluations in a row that open or escalate; worse ones too."
    )
    confirm_deescalate: Count = Field(3, description="Evaluations below critical before the severity falls.")
    confirm_resolve: Count = Field(3, description="Clean evaluations in a row before the incident resolves.")
    resolve_below: float = Field(
        0.8, gt=0, le=1, description="Clean, and below critical, means PSI below this part of the threshold."
    )
    resolve_after_seconds: Seconds | None = Field(
        None, description="Least time of clean evaluations; null: 10 min or 10 % of the window."
    )
    reopen_seconds: Seconds | None = Field(
        None, description="Drift within this time reopens; null: 1 h or a quarter of the window."
    )
    latch_seconds: Seconds = Field(1 * DAY, description="After closing during drift: time without alerts.")
    close_after_seconds: Seconds = Field(7 * DAY, description="A resolved incident is closed after this time.")
    season_seconds: float | None = Field(
        7 * DAY, ge=1, le=92 * DAY, description="Also compare with the same time one such period ago; null: do not."
    )
    time_zone: TimeZone = Field("UTC", description="IANA time zone of the seasonal check.")
    slow_drift: bool = Field(True, description="Whether drift from the reference opens a warning, or is only shown.")

    silence: bool = Field(True, description="Whether a warning is opened when predictions stop.")
    evaluate_segments: bool = Field(False, description="Whether each segment is evaluated as well, by itself.")

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

    @property
    def reach_seconds(self) -> float:
        """How far back the windows reach: panes are kept for this time."""
        return self.baseline_seconds + self.current_seconds


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Settings that contradict each other, and what to change."""

    fields: tuple[str, ...]
    reason: str


def contradictions(values: MonitorValues) -> tuple[Contradiction, ...]:
    """All contradictions between the settings of a monitor.

    Monitors that were published decode for ever: a stricter rule belongs where a person changes a monitor.
    """
    return tuple(_contradictions(values))


def _contradictions(values: MonitorValues) -> Iterator[Contradiction]:
    every, current, baseline = values.every_seconds, values.current_seconds, values.baseline_seconds
    if values.warn >= values.critical:
        yield Contradiction(
            ("warn", "critical"),
            f"warn ({values.warn:g}) must be below critical ({values.critical:g}): lower warn or raise critical",
        )
    if current > baseline:
        yield Contradiction(
            ("current_seconds", "baseline_seconds"),
            f"current_seconds ({current:g}) must not exceed baseline_seconds ({baseline:g}): shorten the current "
            "window or lengthen the baseline",
        )
    if every > current:
        yield Contradiction(
            ("every_seconds", "current_seconds"),
            f"every_seconds ({every:g}) must not exceed current_seconds ({current:g}): events between two evaluations "
            "would never be compared; evaluate more often or lengthen the current window",
        )
    if len(set(values.signals)) < len(values.signals):
        yield Contradiction(("signals",), "signals names one signal twice: name each once")


class MonitorSettings(MonitorValues):
    """The settings of a monitor, without contradictions.

    Raises:
        ValidationError: a value is out of range, or settings contradict each other; the message says which to change.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = contradictions(self)
        if found:
            raise ValueError("; ".join(each.reason for each in found))
        return self


class Monitor(MonitorSettings, Message):
    """A model's monitor, as published on `monitors.v1` (key: model_id; a tombstone deletes it).

    `kept_since` is set where windows were lengthened: what they reach beyond it was not kept, whenever the model was
    first seen. `normal_time` changes without a new version.
    """

    model_id: ModelId
    version: Annotated[int, Field(ge=1)]
    kept_since: UtcDatetime | None = Field(
        None, description="Since when events have been kept for windows of this length; null: ever since the first."
    )
    normal_time: NormalTime = Field(
        NormalTime(), description="The time that the baseline is made of. Changed by SentryML and by people."
    )
