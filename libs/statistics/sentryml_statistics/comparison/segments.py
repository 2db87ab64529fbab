"""Segments by themselves: each is compared with its own baseline, as the model is with that of all its predictions.

    the model      score, prediction                    α / 2           its own, whether segments are evaluated or not
    segments       eu score, eu prediction, us score …  α / number      of those with events enough, of all segments

So all segments together are as likely to mistake noise for drift as the model is, however many there are. The more
there are, the higher are their noise floors. A signal in which the model itself has too little data is not compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from sentryml_common.contracts.evaluation import RANK, Evaluation, Level, SignalEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.comparison.evaluation import compared, reasons_of
from sentryml_statistics.comparison.from_panes import Counted

MOST_WITH_BINS = 10
"""The bins are of those alone that drift, and the largest PSI: an evaluation is one record."""


def with_segments(evaluation: Evaluation, monitor: Monitor, segments: Mapping[str, Counted]) -> Evaluation:
    """The evaluation with the signals of these segments, and the highest level of all. Time in which a segment drifts
    is no reference."""
    judged = [found.signal for found in evaluation.signals if found.reason is None]
    if not judged or not segments:
        return evaluation
    reasons = {name: reasons_of(judged, monitor, each.baseline, each.current) for name, each in segments.items()}
    comparisons = sum(reason is None for of_segment in reasons.values() for reason in of_segment.values())
    found = [
        signal.model_copy(update={"segment": name})
        for name, each in segments.items()
        for signal in compared(
            reasons[name], monitor, each.baseline, each.current, each.season, comparisons=comparisons
        )
    ]
    level = max((evaluation.level, *(each.level for each in found if each.reason is None)), key=RANK.__getitem__)
    reference = evaluation.new_reference if level is Level.OK else None
    return evaluation.model_copy(update={"segments": _thinned(found), "level": level, "new_reference": reference})


def _thinned(found: list[SignalEvaluation]) -> tuple[SignalEvaluation, ...]:
    drifting = [each for each in found if each.level in (Level.WARN, Level.CRITICAL)]
    shown = {id(each) for each in sorted(drifting, key=lambda each: -(each.psi or 0.0))[:MOST_WITH_BINS]}
    without = {"bins": (), "more_frequent": (), "whole_numbers": None}
    return tuple(each if id(each) in shown else each.model_copy(update=without) for each in found)
