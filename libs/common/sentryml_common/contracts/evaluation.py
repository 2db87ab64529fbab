"""`evaluations.v1`: the result of one evaluation of a model's current window against its baseline."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime

Share = Annotated[float, Field(ge=0, le=1)]


class Signal(StrEnum):
    """What is watched of a model's predictions."""

    SCORE = "score"
    PREDICTION = "prediction"


class Level(StrEnum):
    """How far one evaluation found the data to have moved."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"
    INSUFFICIENT_DATA = "insufficient_data"


class InsufficientReason(StrEnum):
    """Why an evaluation could not say anything."""

    WARMING_UP = "warming_up"
    TOO_FEW_SAMPLES = "too_few_samples"
    NO_DATA = "no_data"


class Window(Part):
    """The panes that were really counted: `start` inclusive, `end` exclusive; `coverage` is the part of the
    asked-for window in which the model existed already."""

    start: UtcDatetime
    end: UtcDatetime
    coverage: Share


class BinShares(Part):
    """Smoothed shares of one bin on both sides, and its addend in the PSI."""

    baseline_share: Share
    current_share: Share
    contribution: float


class RangeBin(BinShares):
    """Numbers with `lower` <= x < `upper`, compared as float32; null means unbounded."""

    kind: Literal["range"] = "range"
    lower: float | None
    upper: float | None


class CategoryBin(BinShares):
    """One category that carries a fair share of the baseline."""

    kind: Literal["category"] = "category"
    value: str


class OtherBin(BinShares):
    """All categories too rare in the baseline for a bin of their own."""

    kind: Literal["other"] = "other"


class NewBin(BinShares):
    """Values of a kind or category that the baseline has never seen."""

    kind: Literal["new"] = "new"


class NullBin(BinShares):
    """Events without a value for this signal."""

    kind: Literal["null"] = "null"


Bin = Annotated[RangeBin | CategoryBin | OtherBin | NewBin | NullBin, Field(discriminator="kind")]


class SignalEvaluation(Part):
    """One signal's PSI with all that explains it.

    `warn_at` and `critical_at` are the thresholds in force: the monitor's, raised to the noise that samples of
    this size show without any drift. The figures are null when there was too little data.
    """

    signal: Signal
    level: Level
    psi: Annotated[float, Field(ge=0)] | None
    baseline_count: Annotated[int, Field(ge=0)]
    current_count: Annotated[int, Field(ge=0)]
    noise_floor: float | None
    warn_at: float | None
    critical_at: float | None
    p_value: Share | None
    overlap: Annotated[float, Field(ge=0, le=1.000001)] | None
    bins: tuple[Bin, ...]


class Evaluation(Message):
    """One evaluation of one model; `evaluation_id` is uuid5 of model, monitor version and time."""

    evaluation_id: UUID
    model_id: ModelId
    monitor_version: Annotated[int, Field(ge=1)]
    evaluated_at: UtcDatetime
    level: Level
    reason: InsufficientReason | None
    baseline: Window
    current: Window
    signals: tuple[SignalEvaluation, ...]
