"""How long panes are kept: as long as a window of their model's monitor can reach them."""

from __future__ import annotations

from collections.abc import Callable

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_drift.domain.panes import PaneGrid, Resolution
from sentryml_drift.domain.partials import Kind, Target

DEFAULT = MonitorSettings()


class Retention:
    """Decides by the wall clock what no evaluation can need any more."""

    def __init__(
        self, grid: PaneGrid, monitor_of: Callable[[str], MonitorSettings | None], clock: Clock = system_clock
    ) -> None:
        self._grid, self._monitor_of, self._clock = grid, monitor_of, clock

    def expired(self, target: Target) -> bool:
        """Whether `target` lies before everything that is kept; facts are kept for ever."""
        if target.kind is Kind.FACTS:
            return False
        resolution = Resolution.FINE if target.kind is Kind.FINE else Resolution.COARSE
        now, reach = self._clock().timestamp(), self._window_reach(target.model_id)
        return target.pane < self._grid.first_kept(resolution, now, reach)

    def _window_reach(self, model_id: str) -> float:
        monitor = self._monitor_of(model_id) or DEFAULT
        return monitor.baseline_seconds + monitor.current_seconds
