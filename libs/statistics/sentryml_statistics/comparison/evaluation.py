"""An evaluation: the windows of a model → how far its predictions have moved, and why.

Pure: the same windows, monitor and time give the same evaluation, with the same id, wherever it is made.
A level is reached when PSI ≥ max(threshold, noise floor): the threshold says which size of drift matters, the
noise floor which size could be chance. Where the season explains a difference from the baseline, the lower level of the
two holds. Too little data is a level of its own and says nothing about drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from sentryml_common.contracts.evaluation import (
    RANK,
    Bin,
    CategoryBin,
    Evaluation,
    InsufficientReason,
    LeftOut,
    Level,
    NewBin,
    NoSeason,
    NullBin,
    OtherBin,
    RangeBin,
    Season,
    Signal,
    SignalEvaluation,
    Window,
    level_of,
)
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.bins import BinCounts, bin_counts, counts_in_bins_of
from sentryml_statistics.comparison.new_values import surely_more_frequent, whole_numbers
from sentryml_statistics.comparison.noise import Chance, alpha_for, chance_of
from sentryml_statistics.comparison.psi import Divergence, divergence
from sentryml_statistics.histograms.histogram import EMPTY, Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.coverage import parts_of
from sentryml_statistics.time.season import SeasonCounts
from sentryml_statistics.time.windows import WindowPlan

EVALUATIONS = UUID("6f1d2f0c-0b1e-5f0a-9d43-5a3b7e6c8d21")
"""Namespace of evaluation ids; never to be changed, since ids made twice must be equal."""


SeasonOf = Callable[[], SeasonCounts | None]

MOST_TELLING = (
    InsufficientReason.NO_DATA,
    InsufficientReason.WARMING_UP,
    InsufficientReason.TOO_FEW_SAMPLES,
    InsufficientReason.NOT_SENT,
)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """A window as planned, what was counted in exactly the panes of its cover, and how much of it was covered."""

    plan: WindowPlan
    counts: PaneCounts
    coverage: float


@dataclass(frozen=True, slots=True)
class SignalStart:
    """A signal that was first sent within the baseline or after it, or never: its own coverage, and how many of the
    baseline's events are of before."""

    coverage: float
    events_before: int
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Baseline(WindowCounts):
    """A baseline. `starts` are of those signals that have not been sent as long as the model has existed."""

    starts: Mapping[Signal, SignalStart] = field(default_factory=dict)

    def of_signal(self, signal: Signal) -> tuple[Histogram, float, bool]:
        """The signal's own baseline, its coverage, and whether the signal was ever sent."""
        histogram, start = self.counts.of_signal(signal), self.starts.get(signal)
        if start is None:
            return histogram, self.coverage, True
        return replace(histogram, nulls=histogram.nulls - start.events_before), start.coverage, start.sent


def evaluate(
    model_id: str,
    monitor: Monitor,
    evaluated_at: datetime,
    baseline: Baseline,
    current: WindowCounts,
    season: SeasonOf = lambda: None,
) -> Evaluation:
    """Compare a model's current window with its baseline and, where these differ, with its season, which is planned
    only then; `evaluated_at` has an offset."""
    reasons = reasons_of(monitor.signals, monitor, baseline, current)
    judged = sum(reason is None for reason in reasons.values())
    signals = compared(reasons, monitor, baseline, current, season, comparisons=judged)
    levels = [each.level for each in signals if each.reason is None]
    return Evaluation(
        evaluation_id=evaluation_id(model_id, monitor.version, monitor.normal_time.revision, evaluated_at),
        model_id=model_id,
        monitor_version=monitor.version,
        normal_time_revision=monitor.normal_time.revision,
        evaluated_at=evaluated_at,
        level=max(levels, key=RANK.__getitem__) if levels else Level.INSUFFICIENT_DATA,
        reason=None if levels else min((each for each in reasons.values() if each), key=MOST_TELLING.index),
        baseline=_window(baseline),
        current=_window(current),
        signals=signals,
    )


def evaluation_id(model_id: str, monitor_version: int, normal_time_revision: int, evaluated_at: datetime) -> UUID:
    """The id of the one evaluation of a model under a monitor's version and a revision of normal time at a time."""
    at = evaluated_at.astimezone(UTC).isoformat()
    return uuid5(EVALUATIONS, f"{model_id}|{monitor_version}|{normal_time_revision}|{at}")


Reasons = Mapping[Signal, InsufficientReason | None]
"""Of each signal, why it has no result; None: it has one."""


def reasons_of(signals: Iterable[Signal], monitor: Monitor, baseline: Baseline, current: WindowCounts) -> Reasons:
    """Which of some signals can be compared, and why the others cannot."""
    events = current.counts.total
    return {signal: insufficient_reason(signal, monitor, baseline, events) for signal in signals}


def compared(
    reasons: Reasons, monitor: Monitor, baseline: Baseline, current: WindowCounts, season: SeasonOf, *, comparisons: int
) -> tuple[SignalEvaluation, ...]:
    """Compare those signals that can be; `comparisons` share the false-alarm budget."""
    comparison = _Comparison(monitor, alpha_for(monitor, comparisons) if comparisons else 1.0, season)
    return tuple(
        comparison.of(signal, baseline.of_signal(signal)[0], current.counts.of_signal(signal))
        if reason is None
        else _insufficient(signal, reason, baseline, current)
        for signal, reason in reasons.items()
    )


def insufficient_reason(signal: Signal, monitor: Monitor, baseline: Baseline, events: int) -> InsufficientReason | None:
    """Why a signal with `events` events in the current window has no result; None when it has one."""
    if events == 0:
        return InsufficientReason.NO_DATA
    histogram, coverage, sent = baseline.of_signal(signal)
    if not sent:
        return InsufficientReason.NOT_SENT
    if coverage < _least_coverage(monitor) or not _is_long_enough(monitor, baseline.plan):
        return InsufficientReason.WARMING_UP
    if min(histogram.total, events) < monitor.samples_needed:
        return InsufficientReason.TOO_FEW_SAMPLES
    return None


def _least_coverage(monitor: Monitor) -> float:
    """Once a person has accepted a new normal, as much of it as the current window is long is enough."""
    if monitor.normal_time.since is None:
        return monitor.min_baseline_coverage
    return min(monitor.min_baseline_coverage, 1 / parts_of(monitor))


def _is_long_enough(monitor: Monitor, plan: WindowPlan) -> bool:
    if monitor.normal_time.since is None:
        return True
    return sum(end - start for start, end in plan.spans) >= monitor.current_seconds


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How one evaluation compares each of its signals."""

    monitor: Monitor
    alpha: float
    season: SeasonOf

    def of(self, signal: Signal, baseline: Histogram, current: Histogram) -> SignalEvaluation:
        """Compare a signal with its baseline and, where they differ, with its season."""
        bins = bin_counts(baseline, current, self.monitor.bins)
        found = divergence([each.baseline for each in bins], [each.current for each in bins])
        m, n = baseline.total, current.total
        chance = chance_of(found, m, n, self.alpha)
        warn_at, critical_at = self._thresholds(chance)
        level = level_of(found.psi, warn_at, critical_at)
        seasonal, no_season = None, None
        season = self.season() if found.psi >= self.monitor.resolve_below * warn_at else None
        if season is not None:
            seasonal, no_season = self._seasonal(signal, found.psi, baseline, current, season)
            level = _lowest(level, seasonal, most=None if season.season.whole else Level.WARN)
        return SignalEvaluation(
            signal=signal,
            level=level,
            psi=found.psi,
            baseline_count=m,
            current_count=n,
            noise_floor=chance.noise_floor,
            warn_at=warn_at,
            critical_at=critical_at,
            p_value=chance.p_value,
            overlap=found.overlap,
            season=seasonal,
            no_season=no_season,
            more_frequent=surely_more_frequent(baseline, current),
            whole_numbers=whole_numbers(baseline.numbers) if signal is Signal.PREDICTION else None,
            bins=described(bins, found),
        )

    def _seasonal(
        self, signal: Signal, psi: float, baseline: Histogram, current: Histogram, season: SeasonCounts
    ) -> tuple[Season | None, NoSeason | None]:
        """Compare with as few partners as could have shown a difference of this PSI."""
        partner = EMPTY
        periods: list[int] = []
        for each in season.season.partners:
            counts = season.counts(each.cover).of_signal(signal)
            if counts.total == 0:
                continue
            partner += counts
            periods.append(each.periods)
            found = divergence(*counts_in_bins_of(baseline, (partner, current), self.monitor.bins))
            chance = chance_of(found, partner.total, current.total, self.alpha)
            if chance.noise_floor < psi:
                warn_at, critical_at = self._thresholds(chance)
                return Season(
                    psi=found.psi,
                    period_seconds=season.season.period_seconds,
                    periods=tuple(periods),
                    count=partner.total,
                    noise_floor=chance.noise_floor,
                    warn_at=warn_at,
                    critical_at=critical_at,
                ), None
        return None, NoSeason.TOO_FEW_SAMPLES if periods else season.season.why_none

    def _thresholds(self, chance: Chance) -> tuple[float, float]:
        """A level is reached at its threshold, or at the noise floor where that is higher."""
        return max(self.monitor.warn, chance.noise_floor), max(self.monitor.critical, chance.noise_floor)


def _lowest(level: Level, seasonal: Season | None, most: Level | None) -> Level:
    """The lower of the level against the baseline and that against the season, and at most `most`."""
    levels = [level, *([seasonal.level] if seasonal else []), *([most] if most else [])]
    return min(levels, key=RANK.__getitem__)


def _insufficient(
    signal: Signal, reason: InsufficientReason, baseline: Baseline, current: WindowCounts
) -> SignalEvaluation:
    return SignalEvaluation(
        signal=signal,
        level=Level.INSUFFICIENT_DATA,
        reason=reason,
        psi=None,
        baseline_count=baseline.of_signal(signal)[0].total,
        current_count=current.counts.total,
        noise_floor=None,
        warn_at=None,
        critical_at=None,
        p_value=None,
        overlap=None,
        bins=(),
    )


def described(bins: list[BinCounts], found: Divergence) -> tuple[Bin, ...]:
    """Bins as an evaluation has them, with their shares and parts of the PSI."""
    shares = zip(bins, found.baseline_shares, found.current_shares, found.contributions, strict=True)
    return tuple(_bin(each, *figures) for each, *figures in shares)


def _bin(counts: BinCounts, baseline_share: float, current_share: float, contribution: float) -> Bin:
    figures = {"baseline_share": baseline_share, "current_share": current_share, "contribution": contribution}
    match counts.kind:
        case "range":
            return RangeBin(lower=counts.lower, upper=counts.upper, **figures)
        case "category":
            return CategoryBin(value=counts.value, **figures)
        case "other":
            return OtherBin(**figures)
        case "new":
            return NewBin(**figures)
        case "null":
            return NullBin(**figures)


def _window(window: WindowCounts) -> Window:
    cover = window.plan.cover
    return Window(
        start=datetime.fromtimestamp(cover.start, UTC),
        end=datetime.fromtimestamp(cover.end, UTC),
        coverage=window.coverage,
        left_out=tuple(
            LeftOut(start=datetime.fromtimestamp(start, UTC), end=datetime.fromtimestamp(end, UTC))
            for start, end in cover.gaps
        ),
    )
