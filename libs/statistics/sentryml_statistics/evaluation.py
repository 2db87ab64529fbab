"""An evaluation: two windows of a model → how far its predictions have moved, and why.

Pure: the same windows, monitor and time give the same evaluation, with the same id, wherever it is made.
A level is reached when PSI ≥ max(threshold, noise floor): the threshold says which size of drift matters, the
noise floor which size could be chance. Too little data is a level of its own and says nothing about drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from sentryml_common.contracts.evaluation import (
    Bin,
    CategoryBin,
    Evaluation,
    InsufficientReason,
    Level,
    NewBin,
    NullBin,
    OtherBin,
    RangeBin,
    Signal,
    SignalEvaluation,
    Window,
)
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_statistics.bins import BinCounts, bin_counts
from sentryml_statistics.histogram import Histogram
from sentryml_statistics.noise import alpha_for, chance_of
from sentryml_statistics.pane_counts import PaneCounts
from sentryml_statistics.psi import Divergence, divergence
from sentryml_statistics.windows import WindowPlan

EVALUATIONS = UUID("6f1d2f0c-0b1e-5f0a-9d43-5a3b7e6c8d21")
"""Namespace of evaluation ids; never to be changed, since ids made twice must be equal."""

_RANK = {Level.OK: 0, Level.WARN: 1, Level.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """A window as planned, and what was counted in exactly the panes of its cover."""

    plan: WindowPlan
    counts: PaneCounts


def evaluate(
    model_id: str, monitor: Monitor, evaluated_at: datetime, baseline: WindowCounts, current: WindowCounts
) -> Evaluation:
    """Compare a model's current window with its baseline; `evaluated_at` has an offset."""
    reason = insufficient_reason(monitor, baseline, current)
    signals = tuple(
        _insufficient(signal, baseline, current)
        if reason
        else _evaluate_signal(signal, monitor, baseline.counts.of_signal(signal), current.counts.of_signal(signal))
        for signal in monitor.signals
    )
    return Evaluation(
        evaluation_id=evaluation_id(model_id, monitor.version, evaluated_at),
        model_id=model_id,
        monitor_version=monitor.version,
        evaluated_at=evaluated_at,
        level=Level.INSUFFICIENT_DATA if reason else max((each.level for each in signals), key=_RANK.__getitem__),
        reason=reason,
        baseline=_window(baseline.plan),
        current=_window(current.plan),
        signals=signals,
    )


def evaluation_id(model_id: str, monitor_version: int, evaluated_at: datetime) -> UUID:
    """The id of the one evaluation of a model under a monitor's version at a time."""
    return uuid5(EVALUATIONS, f"{model_id}|{monitor_version}|{evaluated_at.astimezone(UTC).isoformat()}")


def insufficient_reason(
    monitor: MonitorSettings, baseline: WindowCounts, current: WindowCounts
) -> InsufficientReason | None:
    """Why nothing can be said, the most telling reason first; None when something can.

    Every event adds one entry to each signal, so the windows are big enough for all signals or for none.
    """
    if current.counts.total == 0:
        return InsufficientReason.NO_DATA
    if baseline.plan.coverage < monitor.min_baseline_coverage:
        return InsufficientReason.WARMING_UP
    if min(baseline.counts.total, current.counts.total) < monitor.samples_needed:
        return InsufficientReason.TOO_FEW_SAMPLES
    return None


def _evaluate_signal(
    signal: Signal, monitor: MonitorSettings, baseline: Histogram, current: Histogram
) -> SignalEvaluation:
    bins = bin_counts(baseline, current, monitor.bins)
    found = divergence([each.baseline for each in bins], [each.current for each in bins])
    n, m = current.total, baseline.total
    chance = chance_of(found, m, n, alpha_for(monitor))
    warn_at, critical_at = max(monitor.warn, chance.noise_floor), max(monitor.critical, chance.noise_floor)
    return SignalEvaluation(
        signal=signal,
        level=_level(found.psi, warn_at, critical_at),
        psi=found.psi,
        baseline_count=m,
        current_count=n,
        noise_floor=chance.noise_floor,
        warn_at=warn_at,
        critical_at=critical_at,
        p_value=chance.p_value,
        overlap=found.overlap,
        bins=_bins(bins, found),
    )


def _level(psi: float, warn_at: float, critical_at: float) -> Level:
    if psi >= critical_at:
        return Level.CRITICAL
    return Level.WARN if psi >= warn_at else Level.OK


def _insufficient(signal: Signal, baseline: WindowCounts, current: WindowCounts) -> SignalEvaluation:
    return SignalEvaluation(
        signal=signal,
        level=Level.INSUFFICIENT_DATA,
        psi=None,
        baseline_count=baseline.counts.total,
        current_count=current.counts.total,
        noise_floor=None,
        warn_at=None,
        critical_at=None,
        p_value=None,
        overlap=None,
        bins=(),
    )


def _bins(bins: list[BinCounts], found: Divergence) -> tuple[Bin, ...]:
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


def _window(plan: WindowPlan) -> Window:
    return Window(
        start=datetime.fromtimestamp(plan.cover.start, UTC),
        end=datetime.fromtimestamp(plan.cover.end, UTC),
        coverage=plan.coverage,
    )
