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
from datetime import UTC, datetime
from functools import partial

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalSpan, NormalTime
from sentryml_statistics.time.normal_time import ALWAYS
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.plan import EvaluationPlan, plan_evaluation
from sentryml_statistics.time.season import season_at
from sentryml_statistics.time.windows import windows_at

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


def plan_past_evaluation(
    grid: PaneGrid, monitor: Monitor, at: float, made_at: float, reach: Reach, kept: NormalSpan = ALWAYS
) -> PastPlan | None:
    """Plan an evaluation at `at`, which would have been made at `made_at`; None where panes do not reach back.

    `monitor` has the normal time of then; `kept` is that by which panes are kept, so it says of which held baselines
    there still are fine ones.
    """
    if max(at - monitor.reach_seconds, reach.first_seen) < reach.kept_from:
        return None
    then, now = plan_evaluation(grid, monitor, at, reach.first_seen, made_at), max(made_at, reach.now)
    left = EvaluationPlan(
        *windows_at(grid, monitor, at, _as_kept(monitor.normal_time, kept, now), now),
        partial(season_at, grid, monitor, at, reach.first_seen, now),
    )
    windows = ((then.baseline, left.baseline), (then.current, left.current))
    if any(is_left.cover.seconds < LEAST_PART * was.cover.seconds for was, is_left in windows):
        return None
    exact = all(was == is_left for was, is_left in windows) and then.season() == left.season()
    return PastPlan(left, exact)


def _as_kept(normal: NormalTime, kept: NormalSpan, now: float) -> NormalTime:
    """Normal time whose held baselines have no fine panes of before those that live now, but for drift that panes were
    kept for."""
    known = {(each.start, each.confirmed_at) for each in kept.excluded}
    just_now = {"confirmed_at": datetime.fromtimestamp(now, UTC)}
    excluded = (
        each if (each.start, each.confirmed_at) in known else each.model_copy(update=just_now)
        for each in normal.excluded
    )
    return normal.model_copy(update={"excluded": tuple(excluded)})
