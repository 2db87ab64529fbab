"""Slices: whether one version or segment differs from the baseline, and whether all other events do.

What the others are is a difference in each bin, so no histogram of theirs is needed:

    baseline         what a slice is compared with: that of the model, or its own
    current          the slice │ all events − the slice

A version is compared with what the model was, since it is new. A segment has a distribution of its own: it is compared
with its own baseline, and the others with the rest of the model's; where it had too few events, with the model's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sentryml_common.contracts.evaluation import Signal, SignalEvaluation, SliceSignal
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.bins import counts_in_bins_of
from sentryml_statistics.comparison.evaluation import Baseline
from sentryml_statistics.comparison.noise import alpha_for, chance_of
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts

Found = tuple[float, float] | tuple[None, None]
"""A PSI, and from which one on it counts."""


@dataclass(frozen=True, slots=True)
class SliceComparison:
    """How the slices of one evaluation are compared, in those signals that have a result. `whole` are all events of the
    time in which slices are counted."""

    monitor: Monitor
    baselines: Mapping[Signal, Histogram]
    whole: PaneCounts

    @classmethod
    def of(
        cls, found: Iterable[SignalEvaluation], monitor: Monitor, baseline: Baseline, whole: PaneCounts
    ) -> SliceComparison:
        """Of those of these signals that have been compared."""
        judged = [each.signal for each in found if each.reason is None]
        return cls(monitor, {signal: baseline.of_signal(signal)[0] for signal in judged}, whole)

    def signals(self, counts: PaneCounts, own: PaneCounts | None = None) -> tuple[SliceSignal, ...]:
        """The signals of a slice; `own` is its own baseline, where it is to be used."""
        if own is not None and own.total < self.monitor.samples_needed:
            own = None
        return tuple(self._signal(signal, counts, own) for signal in self.baselines)

    def _signal(self, signal: Signal, counts: PaneCounts, own: PaneCounts | None) -> SliceSignal:
        baseline, whole, part = self.baselines[signal], self.whole.of_signal(signal), counts.of_signal(signal)
        if own is None:
            was, now, everything = counts_in_bins_of(baseline, (baseline, part, whole), self.monitor.bins)
            psi, others_psi = self._psi(was, now), self._psi(was, _without(everything, now))
        else:
            own_part = own.of_signal(signal)
            psi = self._psi(*counts_in_bins_of(own_part, (own_part, part), self.monitor.bins))
            sides = baseline, own_part, whole, part
            was, own_was, everything, now = counts_in_bins_of(baseline, sides, self.monitor.bins)
            others_psi = self._psi(_without(was, own_was), _without(everything, now))
        return SliceSignal(
            signal=signal, psi=psi[0], warn_at=psi[1], others_psi=others_psi[0], others_warn_at=others_psi[1]
        )

    def _psi(self, was: Sequence[int], now: Sequence[int]) -> Found:
        m, n = sum(was), sum(now)
        if min(m, n) < self.monitor.samples_needed:
            return None, None
        found = divergence(was, now)
        floor = chance_of(found, m, n, alpha_for(self.monitor, len(self.baselines))).noise_floor
        return found.psi, max(self.monitor.warn, floor)


def _without(counts: Sequence[int], part: Sequence[int]) -> list[int]:
    """Counts without a part of them. That may be newer by a moment, and so not contained."""
    return [max(0, count - less) for count, less in zip(counts, part, strict=True)]
