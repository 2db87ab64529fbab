"""How long panes are kept: as long as a window of their model's monitor can reach them.

Kept are the newest R of any time and the newest R of normal time, where R is baseline, current window and one coarse
pane; fine panes of normal time that drift has ended are kept as they were when it was confirmed. A model with an
excluded interval also keeps one season more, so that the seasonal check finds a normal week behind one that drifted.
What an *accept* or *this was normal* has set aside is kept likewise, until that can no longer be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.monitor import Monitor, MonitorSettings
from sentryml_common.contracts.normal_time import NormalSpan, NormalTime
from sentryml_drift.domain.kept_panes import KeptPanes
from sentryml_drift.domain.partials import KIND_OF, Kind, Target
from sentryml_statistics.time.normal_time import newest_normal
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.season import kept_from
from sentryml_statistics.time.windows import fine_panes_held_at

DEFAULT_MONITOR = MonitorSettings()
NEVER_CHANGED = NormalTime()


class Retention:
    """Decides by the wall clock what no evaluation can need any more."""

    def __init__(
        self, grid: PaneGrid, monitor_of: Callable[[str], Monitor | None], clock: Clock = system_clock
    ) -> None:
        self._grid, self._monitor_of, self._clock = grid, monitor_of, clock
        self._now = 0.0
        self._first_kept: dict[tuple[Kind, float], int] = {}
        self._held: dict[tuple[str, Kind], tuple[NormalTime, tuple[range, ...]]] = {}

    def expired(self, target: Target) -> bool:
        """Whether no window can reach `target`; facts are kept for ever."""
        if target.kind is Kind.FACTS:
            return False
        if target.pane >= self._first(target.kind, self._window_reach(target.model_id)):
            return False
        kind = Kind.FINE if target.kind is Kind.FINE else Kind.COARSE
        return not any(target.pane in each for each in self._held_by(target.model_id, kind))

    def kept(self, model_id: str) -> dict[Resolution, KeptPanes]:
        """The panes of a model that are kept, by resolution."""
        reach = self._window_reach(model_id)
        return {
            resolution: KeptPanes(self._first(kind, reach), self._held_by(model_id, kind))
            for resolution, kind in KIND_OF.items()
        }

    def kept_from(self, model_id: str) -> float:
        """Since when all coarse panes of a model are kept (epoch seconds)."""
        monitor = self._monitor_of(model_id)
        kept = self._grid.start_of(self._first(Kind.COARSE, self._window_reach(model_id)), Resolution.COARSE)
        since = None if monitor is None else monitor.kept_since
        return kept if since is None else max(kept, since.timestamp())

    def over_by(self, time: float) -> dict[Resolution, KeptPanes]:
        """What is kept where all panes that were over at `time` are not."""
        return {resolution: KeptPanes(self._grid.pane_of(time, resolution)) for resolution in KIND_OF}

    def _first(self, kind: Kind, reach: float) -> int:
        """The oldest pane that is kept, as of this second: it is asked for thousands of times in one."""
        now = self._clock().timestamp()
        if abs(now - self._now) >= 1.0:
            self._now = now
            self._first_kept.clear()
            self._held.clear()
        first = self._first_kept.get((kind, reach))
        if first is None:
            first = self._first_kept[kind, reach] = self._grid.first_kept(_resolution(kind), now, reach)
        return first

    def _held_by(self, model_id: str, kind: Kind) -> tuple[range, ...]:
        """The older panes of normal time that a model's baseline is made of."""
        monitor = self._monitor_of(model_id)
        if monitor is None or monitor.normal_time == NEVER_CHANGED:
            return ()
        known = self._held.get((model_id, kind))
        if known is None or known[0] is not monitor.normal_time:
            known = monitor.normal_time, tuple(sorted(self._held_ranges(monitor, _resolution(kind)), key=_start_of))
            self._held[model_id, kind] = known
        return known[1]

    def _held_ranges(self, monitor: Monitor, resolution: Resolution) -> Iterator[range]:
        now, normal = self._clock().timestamp(), monitor.normal_time
        if resolution is Resolution.COARSE and normal.excluded:
            first, end = kept_from(monitor, now), now - monitor.reach_seconds
            yield range(self._grid.pane_of(first, resolution) - 1, self._grid.pane_of(end, resolution) + 1)
        in_use: list[NormalSpan] = [normal]
        if normal.set_aside is not None and now < normal.set_aside.until.timestamp():
            in_use.append(normal.set_aside)
        for each in in_use:
            for span in newest_normal(each, now, monitor.reach_seconds + self._grid.coarse_seconds):
                first = self._grid.pane_of(span[0], resolution) - 1
                if resolution is Resolution.FINE:
                    held_at = min(now, fine_panes_held_at(self._grid, each, span))
                    first = max(first, self._grid.first_kept(resolution, held_at, monitor.reach_seconds))
                end = self._grid.pane_of(span[1], resolution) + 1
                if first < end:
                    yield range(first, end)

    def _window_reach(self, model_id: str) -> float:
        return (self._monitor_of(model_id) or DEFAULT_MONITOR).reach_seconds


def _start_of(panes: range) -> int:
    return panes.start


def _resolution(kind: Kind) -> Resolution:
    return Resolution.FINE if kind is Kind.FINE else Resolution.COARSE
