"""`evaluations.v1`: the result of one evaluation of a model's current window against its baseline."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime
from sentryml_common.contracts.reference import Reference

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


RANK = {Level.OK: 0, Level.WARN: 1, Level.CRITICAL: 2}
"""The levels of signals that could be judged, from low to high."""


def level_of(psi: float, warn_at: float, critical_at: float) -> Level:
    """The level that a PSI reaches."""
    if psi >= critical_at:
        return Level.CRITICAL
    return Level.WARN if psi >= warn_at else Level.OK


class InsufficientReason(StrEnum):
    """Why an evaluation could not say anything."""

    WARMING_UP = "warming_up"
    TOO_FEW_SAMPLES = "too_few_samples"
    NO_DATA = "no_data"
    NOT_SENT = "not_sent"


class LeftOut(Part):
    """Time inside a window that was not counted: `start` inclusive, `end` exclusive."""

    start: UtcDatetime
    end: UtcDatetime


class Window(Part):
    """The panes that were really counted: `start` inclusive, `end` exclusive, but for what was `left_out`, since it is
    not normal time. `coverage` is, of a baseline, the part of its normal time in which the model sent events; of the
    current window, the part of it in which the model existed already."""

    start: UtcDatetime
    end: UtcDatetime
    coverage: Share
    left_out: tuple[LeftOut, ...] = ()

    @property
    def seconds(self) -> float:
        """How much time was counted."""
        left_out = sum((each.end - each.start).total_seconds() for each in self.left_out)
        return (self.end - self.start).total_seconds() - left_out


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


class Difference(StrEnum):
    """In what two spellings of one value differ; in the order in which they are folded away."""

    BLANKS = "blanks"
    """Blanks, at the ends or inside, and characters that cannot be seen."""
    UNICODE_FORM = "unicode_form"
    """Composed or decomposed, or compatible characters, as full-width letters."""
    LOOK_ALIKES = "look_alikes"
    """Letters of other alphabets, dashes and apostrophes that look the same."""
    CASE = "case"
    NUMBER = "number"
    """A number as text, or with other digits: `1`, `"1"`, `"1.0"`."""
    BOOLEAN = "boolean"
    """`true` or `false` as 1 or 0."""


class OtherSpelling(Part):
    """The `known` value of the baseline that a new one equals but for `differences`, its share there, and the code
    points in which each differs from the other, for example `U+00E9 LATIN SMALL LETTER E WITH ACUTE`; none where the
    difference is seen in print."""

    known: str | float
    baseline_share: Share = 0.0
    differences: tuple[Difference, ...]
    new_code_points: tuple[str, ...] = ()
    known_code_points: tuple[str, ...] = ()


class MoreFrequent(Part):
    """A value that is surely new (`baseline_count` 0) or surely more frequent than in the baseline, with its shares of
    all events and a two-sided p-value. `others`: it is a group of names, since there are too many to count
    each."""

    value: str | float
    others: bool = False
    baseline_count: Annotated[int, Field(ge=0)]
    current_count: Annotated[int, Field(ge=0)]
    baseline_share: Share
    current_share: Share
    p_value: Share
    spelling: OtherSpelling | None = None


class NoSeason(StrEnum):
    """Why a difference from the baseline could not be checked against the same time of an earlier period."""

    BASELINE_TOO_SHORT = "baseline_too_short"
    NOT_YET = "not_yet"
    NOT_NORMAL = "not_normal"
    TOO_FEW_SAMPLES = "too_few_samples"


class Season(Part):
    """The seasonal check of one signal: the current window against the same time of earlier periods, in the baseline's
    bins. `periods` says how many periods ago each of those times is; `count` are their events.

    `warn_at` and `critical_at` are as those of the signal. The check is made where the signal differs from its
    baseline by as much as could matter.
    """

    psi: Annotated[float, Field(ge=0)]
    period_seconds: float
    periods: tuple[int, ...]
    count: int
    noise_floor: float
    warn_at: float
    critical_at: float

    @property
    def level(self) -> Level:
        """The level against the season alone."""
        return level_of(self.psi, self.warn_at, self.critical_at)


class SignalEvaluation(Part):
    """One signal's PSI with all that explains it.

    `warn_at` and `critical_at` are the thresholds in force: the monitor's, raised to the noise that samples of
    this size show without any drift. The figures are null when there was too little data; `reason` then says why.
    `level` is the lower of that against the baseline and that against the `season`, where there is one; `no_season`
    says why a difference has none. `more_frequent` names values whose change is certain however small the PSI, the most
    frequent first; `whole_numbers` is how many different ones the baseline has, where they may be ids of classes.
    `segment` is left out where it is about all predictions of the model.
    """

    signal: Signal
    segment: str | None = Field(None, exclude_if=lambda segment: segment is None)
    level: Level
    reason: InsufficientReason | None = None
    psi: Annotated[float, Field(ge=0)] | None
    baseline_count: Annotated[int, Field(ge=0)]
    current_count: Annotated[int, Field(ge=0)]
    noise_floor: float | None
    warn_at: float | None
    critical_at: float | None
    p_value: Share | None
    overlap: Annotated[float, Field(ge=0, le=1.000001)] | None
    season: Season | None = None
    no_season: NoSeason | None = None
    more_frequent: tuple[MoreFrequent, ...] = ()
    whole_numbers: int | None = None
    bins: tuple[Bin, ...]

    @property
    def explained_by_season(self) -> bool:
        """Whether the level is that of the seasonal check, which is lower than that against the baseline."""
        if self.season is None or self.psi is None or self.warn_at is None or self.critical_at is None:
            return False
        return RANK[self.season.level] < RANK[level_of(self.psi, self.warn_at, self.critical_at)]

    @property
    def headline_psi(self) -> float | None:
        """The PSI of the comparison that gave the level."""
        return self.season.psi if self.season is not None and self.explained_by_season else self.psi


class SlowDrift(Part):
    """The comparison with the reference: all events of both windows against it, now and then. Its level is
    `warn` at most. Of its signals, `baseline_count` is that of the reference, and `critical_at` is null."""

    reference_id: UUID
    level: Level
    signals: tuple[SignalEvaluation, ...]


class ActivityEvaluation(Part):
    """Whether predictions come, by the model's own pace. Its level is `warn` where the model is silent, at most; and
    `insufficient_data` where too little is known of its pace.

    `last_received` is when the last prediction came in, to the fine pane; everything that was sent until `read_until`
    had been read. `usual_per_hour` is how many predictions an hour came around the same time `period_seconds` ago.
    `volume_ratio` is the number of predictions in the current window over that in the same time of then. Both are null
    where that time is not kept.
    """

    level: Level
    last_received: UtcDatetime
    read_until: UtcDatetime
    period_seconds: float
    usual_per_hour: Annotated[float, Field(ge=0)] | None = None
    volume_ratio: Annotated[float, Field(ge=0)] | None = None


class Slicing(StrEnum):
    """Which field of its events divides a model's predictions."""

    VERSION = "version"
    SEGMENT = "segment"


class SliceSignal(Part):
    """How far one signal of a slice differs, and how far that of all other events: the PSI, and from which one on it is
    more than the monitor tolerates and chance explains. Null where there were too few events. A version is compared
    with the model's baseline; a segment with its own where that has events enough, and then so are the others."""

    signal: Signal
    psi: Annotated[float, Field(ge=0)] | None
    warn_at: float | None
    others_psi: Annotated[float, Field(ge=0)] | None
    others_warn_at: float | None

    @property
    def moved(self) -> bool:
        """Whether the slice differs."""
        return self.psi is not None and self.warn_at is not None and self.psi >= self.warn_at

    @property
    def others_moved(self) -> bool:
        """Whether all other events differ."""
        return (
            self.others_psi is not None and self.others_warn_at is not None and self.others_psi >= self.others_warn_at
        )


class SliceEvaluation(Part):
    """The events of one version or segment in the current window, in whole coarse panes and the newest one: how many,
    their share of all, and their signals. `began` is when the first of them was, where the model had others before;
    null also where panes do not reach back so far."""

    slicing: Slicing
    value: str
    events: Annotated[int, Field(ge=0)]
    share: Share
    began: UtcDatetime | None = None
    signals: tuple[SliceSignal, ...] = ()


class Evaluation(Message):
    """One evaluation of one model; `evaluation_id` is uuid5 of model, monitor version, revision of normal time and
    time. `level` is that against the baseline; `slow_drift` has a level of its own, and so has `activity`, which is
    there where the monitor asks for it and it is known how far predictions have been read. `new_reference` is there
    while the monitor names no reference and the baseline is whole and normal: what is to become the first one. `slices`
    are at most ten versions and ten segments, new ones and the heaviest; the field is left out where there are none. No
    level depends on them. `segments` are the signals of each segment, compared with its own baseline, where the monitor
    evaluates them; the field is left out where there are none. The level is the highest of `signals` and `segments`."""

    evaluation_id: UUID
    model_id: ModelId
    monitor_version: Annotated[int, Field(ge=1)]
    normal_time_revision: Annotated[int, Field(ge=0)] = 0
    evaluated_at: UtcDatetime
    level: Level
    reason: InsufficientReason | None
    baseline: Window
    current: Window
    signals: tuple[SignalEvaluation, ...]
    slow_drift: SlowDrift | None = None
    activity: ActivityEvaluation | None = None
    new_reference: Reference | None = None
    slices: Annotated[tuple[SliceEvaluation, ...], Field(exclude_if=operator.not_)] = ()
    segments: Annotated[tuple[SignalEvaluation, ...], Field(exclude_if=operator.not_)] = ()

    @property
    def all_signals(self) -> tuple[SignalEvaluation, ...]:
        """Those of the model, and those of its segments."""
        return (*self.signals, *self.segments)
