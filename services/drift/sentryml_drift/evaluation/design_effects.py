"""Design effects of a model: its normal time, cut into blocks as long as the current window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from sentryml_common.contracts.internal.recomputation import DesignEffect
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.bins import counts_in_bins_of
from sentryml_statistics.comparison.design_effect import design_effect
from sentryml_statistics.histograms.pane_counts import PaneCounts, merge_panes
from sentryml_statistics.time.normal_time import is_normal
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import PaneRange


def blocks_between(grid: PaneGrid, monitor: Monitor, since: float, until: float) -> Iterator[PaneRange]:
    """The blocks of normal time in [since, until) (epoch seconds): whole coarse panes, on a fixed grid."""
    panes = max(1, round(monitor.current_seconds / grid.coarse_seconds))
    end = grid.pane_of(until, Resolution.COARSE)
    first = -(-grid.pane_of(since, Resolution.COARSE) // panes) * panes
    for number in count(first, panes):
        if number + panes > end:
            return
        span = (grid.start_of(each, Resolution.COARSE) for each in (number, number + panes))
        if is_normal(monitor.normal_time, *span):
            yield PaneRange(Resolution.COARSE, number, number + panes)


def design_effects(monitor: Monitor, blocks: Sequence[PaneCounts]) -> tuple[DesignEffect, ...]:
    """The design effect of each signal; none where too few blocks have events."""
    filled = [block for block in blocks if block.total]
    whole = merge_panes(filled)
    found = []
    for signal in monitor.signals:
        sides = [block.of_signal(signal) for block in filled]
        effect = design_effect(counts_in_bins_of(whole.of_signal(signal), sides, monitor.bins)) if sides else None
        if effect is not None:
            found.append(DesignEffect(signal=signal, effect=effect, blocks=len(filled)))
    return tuple(found)
