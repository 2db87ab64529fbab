"""Slow drift: all recent events against a reference that does not move.

A change that takes weeks moves the baseline along with it: each current window is like the week before. So once in each
coarse pane everything that the evaluation counted, both windows of it, is compared with a frozen histogram:

    reference        frozen when there first was a whole baseline of normal time
    recent           the newest normal time, as long as the baseline, and the current window

By default that is a week and a day, so that no weekday speaks alone. A current window that drifts from its baseline is
not compared: a sudden change is no slow one. The level is a warning at most; the noise floor is found as that of a
signal of the same evaluation. Slow drift has no part in normal time: what drifts slowly is still what a sudden change
is compared with.
"""

from __future__ import annotations

from base64 import b64encode
from uuid import uuid5

from sentryml_common.contracts.evaluation import RANK, Evaluation, Level, Signal, SignalEvaluation, SlowDrift
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import MOST_BYTES, Reference, ReferenceSource
from sentryml_statistics.comparison.bins import bin_counts
from sentryml_statistics.comparison.evaluation import EVALUATIONS, Baseline, WindowCounts, described
from sentryml_statistics.comparison.noise import alpha_for, chance_of
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts

LEAST_COVERAGE = 0.99


def with_slow_drift(
    evaluation: Evaluation, monitor: Monitor, baseline: Baseline, current: WindowCounts, reference: Reference | None
) -> Evaluation:
    """The evaluation, with the comparison of its counts with the model's reference where it is ok. Without it while the
    reference that the monitor names is not there; with what is to become one where it names none.

    Raises:
        UndecodableMessage: the reference's counts cannot be read.
    """
    reference_id = monitor.normal_time.reference_id
    if evaluation.level is not Level.OK:
        return evaluation
    if reference_id is None:
        return evaluation.model_copy(update={"new_reference": _proposed(evaluation, monitor, baseline, current)})
    if reference is None or reference.reference_id != reference_id:
        return evaluation
    frozen = PaneCounts.unpack(reference.packed)
    judged = [found.signal for found in evaluation.signals if found.reason is None]
    signals = tuple(
        _compared(signal, monitor, len(judged), frozen.of_signal(signal), _recent(signal, baseline, current))
        for signal in judged
        if _was_sent(frozen.of_signal(signal))
    )
    if not signals:
        return evaluation
    level = max((each.level for each in signals), key=RANK.__getitem__)
    return evaluation.model_copy(
        update={"slow_drift": SlowDrift(reference_id=reference_id, level=level, signals=signals)}
    )


def fitted(counts: PaneCounts) -> PaneCounts:
    """The counts, as fine as a reference may be."""
    most = 1 << 10
    while len(counts.pack()) > MOST_BYTES:
        most //= 2
        counts = PaneCounts(*(_fitted(each, most) for each in counts.histograms))
    return counts


def _proposed(evaluation: Evaluation, monitor: Monitor, baseline: Baseline, current: WindowCounts) -> Reference | None:
    """What is to become the first reference: the counts of an evaluation with a whole baseline and no drift."""
    if baseline.coverage < LEAST_COVERAGE or monitor.normal_time.drift_lasts:
        return None
    counts = fitted(baseline.counts + current.counts)
    return Reference(
        reference_id=uuid5(EVALUATIONS, f"reference/{evaluation.evaluation_id}"),
        model_id=evaluation.model_id,
        source=ReferenceSource.HISTORY,
        made_at=evaluation.evaluated_at,
        start=evaluation.baseline.start,
        end=evaluation.current.end,
        events=counts.total,
        counts=b64encode(counts.pack()).decode(),
    )


def _recent(signal: Signal, baseline: Baseline, current: WindowCounts) -> Histogram:
    return baseline.of_signal(signal)[0] + current.counts.of_signal(signal)


def _was_sent(frozen: Histogram) -> bool:
    """A signal that only began later has not drifted from a reference without it."""
    return frozen.total > frozen.nulls


def _compared(signal: Signal, monitor: Monitor, signals: int, frozen: Histogram, recent: Histogram) -> SignalEvaluation:
    bins = bin_counts(frozen, recent, monitor.bins)
    found = divergence([each.baseline for each in bins], [each.current for each in bins])
    chance = chance_of(found, frozen.total, recent.total, alpha_for(monitor, signals))
    warn_at = max(monitor.warn, chance.noise_floor)
    return SignalEvaluation(
        signal=signal,
        level=Level.WARN if found.psi >= warn_at else Level.OK,
        psi=found.psi,
        baseline_count=frozen.total,
        current_count=recent.total,
        noise_floor=chance.noise_floor,
        warn_at=warn_at,
        critical_at=None,
        p_value=chance.p_value,
        overlap=found.overlap,
        bins=described(bins, found),
    )


def _fitted(histogram: Histogram, most: int) -> Histogram:
    return Histogram(histogram.numbers.fitted(most), histogram.categories.fitted(most), histogram.nulls)
