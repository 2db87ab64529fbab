"""Evaluations of past times, from the panes that still exist.

Two things are lost with time: coarse panes that no window of the monitor in force can reach, and fine panes. So of the
windows as they were then

    then      ╠══════╬══════╬══════╬══════╣···┤
    now       ╠══════╬══════╬══════╬══════╣             the ragged end has lost its fine panes: nearly the same
    now              ╠══════╬══════╬══════╣             an old pane is gone: not the same at all

A past evaluation is exact where both windows are covered as they were. Where a window has lost at most a tenth of its
length at the ends, it is approximate; else there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import EvaluationPlan, plan_evaluation

LEAST_PART = 0.9


@dataclass(frozen=True, slots=True)
class PastPlan:
    """What to add up for an evaluation at a past time."""

    plan: EvaluationPlan
    exact: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """How far panes reach back at `now`: coarse ones since `kept_from`, for a model first seen at `first_seen`. All in
    epoch seconds."""

    now: float
    kept_from: float
    first_seen: float


def plan_past_evaluation(grid: PaneGrid, monitor: Monitor, at: float, made_at: float, reach: Reach) -> PastPlan | None:
    """Plan an evaluation at `at`, which would have been made at `made_at`; None where panes do not reach back.

    Normal time is that of now, which may differ from that of then: where it has an excluded interval, no past
    evaluation is exact.
    """
    if max(at - monitor.reach_seconds, reach.first_seen) < reach.kept_from:
        return None
    then = plan_evaluation(grid, monitor, at, reach.first_seen, made_at)
    now = plan_evaluation(grid, monitor, at, reach.first_seen, max(made_at, reach.now))
    windows = ((then.baseline, now.baseline), (then.current, now.current))
    if any(left.cover.seconds < LEAST_PART * was.cover.seconds for was, left in windows):
        return None
    return PastPlan(now, exact=then == now and not monitor.normal_time.excluded)
