"""How long panes are kept: as long as a window of their model's monitor can reach them."""

from __future__ import annotations

from collections.abc import Callable

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_drift.domain.partials import KIND_OF, Kind, Target
from sentryml_statistics.panes import PaneGrid, Resolution

DEFAULT_MONITOR = MonitorSettings()


class Retention:
    """Decides by the wall clock what no evaluation can need any more."""

    def __init__(
        self, grid: PaneGrid, monitor_of: Callable[[str], Monitor | None], clock: Clock = system_clock
    ) -> None:
        self._grid, self._monitor_of, self._clock = grid, monitor_of, clock
        self._as_of = 0.0
        self._first_kept: dict[tuple[Kind, float], int] = {}

    def expired(self, target: Target) -> bool:
        """Whether `target` lies before everything that is kept; facts are kept for ever."""
        if target.kind is Kind.FACTS:
            return False
        return target.pane < self._first(target.kind, self._window_reach(target.model_id))

    def first_kept(self, model_id: str) -> dict[Resolution, int]:
        """The oldest panes of a model that are kept, by resolution."""
        reach = self._window_reach(model_id)
        return {resolution: self._first(kind, reach) for resolution, kind in KIND_OF.items()}

    def kept_from(self, model_id: str) -> float:
        """Since when all coarse panes of a model are kept (epoch seconds)."""
        monitor = self._monitor_of(model_id)
        kept = self._grid.start_of(self._first(Kind.COARSE, self._window_reach(model_id)), Resolution.COARSE)
        since = None if monitor is None else monitor.kept_since
        return kept if since is None else max(kept, since.timestamp())

    def first_open(self, time: float) -> dict[Resolution, int]:
        """The panes that were growing at `time`: all before them were over."""
        return {resolution: self._grid.pane_of(time, resolution) for resolution in KIND_OF}

    def _first(self, kind: Kind, reach: float) -> int:
        """The oldest pane that is kept, as of this second: it is asked for thousands of times in one."""
        now = self._clock().timestamp()
        if abs(now - self._as_of) >= 1.0:
            self._as_of = now
            self._first_kept.clear()
        first = self._first_kept.get((kind, reach))
        if first is None:
            first = self._first_kept[kind, reach] = self._grid.first_kept(_resolution(kind), now, reach)
        return first

    def _window_reach(self, model_id: str) -> float:
        return (self._monitor_of(model_id) or DEFAULT_MONITOR).reach_seconds


def _resolution(kind: Kind) -> Resolution:
    return Resolution.FINE if kind is Kind.FINE else Resolution.COARSE
