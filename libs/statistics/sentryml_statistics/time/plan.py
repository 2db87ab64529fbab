"""What an evaluation needs: its windows and its seasonal partners, planned from the monitor and the time alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sentryml_common.contracts.monitor import Monitor
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.season import Season, season_at
from sentryml_statistics.time.windows import WindowPlan, windows_at


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """The windows of one evaluation, and how its seasonal check is planned, which few evaluations need; None where the
    monitor has none."""

    baseline: WindowPlan
    current: WindowPlan
    season: Callable[[], Season | None]


def plan_evaluation(
    grid: PaneGrid, monitor: Monitor, evaluated_at: float, first_seen: float, now: float
) -> EvaluationPlan:
    """Plan an evaluation of a model first seen at `first_seen`, from the panes that are there at `now` (epoch
    seconds)."""
    baseline, current = windows_at(grid, monitor, evaluated_at, monitor.normal_time, now)
    return EvaluationPlan(baseline, current, partial(season_at, grid, monitor, evaluated_at, first_seen, now))
