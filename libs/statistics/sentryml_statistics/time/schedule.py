"""When a model is evaluated: on a grid of its own, so that models take turns.

The instants of a model's grid lie `every` seconds apart, on borders of fine panes. Models are spread over the
borders within `every`, and where a pane is long, over the time after the border as well: an instant is due
only when that delay is over. Both come from a fixed hash of the model's id.

    borders of panes   ├─────────┼─────────┼─────────┼─────────┤
    model a            ●··due               ●··due                    every = 2 panes, no shift, short delay
    model b                      ●······due            ●······due     shift of one pane, longer delay
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.time.panes import PaneGrid, Resolution, micros

_SECOND = micros(1.0)


def due_at(grid: PaneGrid, model_id: str, every_seconds: float, now: float) -> float:
    """The newest instant of the model's grid that is due at `now` (epoch seconds).

    With `every_seconds` ≤ 1 all models are due together: there is no time to spread them over.
    """
    return _due_at(grid, model_id, micros(every_seconds), now) / _SECOND


def instants_back(grid: PaneGrid, model_id: str, every_seconds: float, since: float, now: float) -> range:
    """The instants of the model's grid that were due by `now`, in microseconds since the epoch: the newest, and before
    it those from `since` on, newest first."""
    every = micros(every_seconds)
    newest = _due_at(grid, model_id, every, now)
    return range(newest, min(newest, micros(since)) - 1, -every)


def instants_between(every_seconds: float, after: float, instant: float) -> int:
    """How many instants of a model's grid lie after a time and before one of its instants."""
    return max(0, -(-(micros(instant) - micros(after)) // micros(every_seconds)) - 1)


def compares_slowly(grid: PaneGrid, monitor: MonitorSettings, instant: float) -> bool:
    """Whether slow drift is evaluated at an instant of a model's grid: at the first one in each coarse pane, or in each
    stretch as long as the current window where that is shorter."""
    length = min(grid.micros_per_pane(Resolution.COARSE), micros(monitor.current_seconds))
    return micros(instant) // length != (micros(instant) - micros(monitor.every_seconds)) // length


def delay_of(grid: PaneGrid, model_id: str, every_seconds: float) -> float:
    """How long after its time an instant of the model's grid is due, in seconds."""
    return _shift_and_delay(grid, model_id, micros(every_seconds))[1] / _SECOND


def _due_at(grid: PaneGrid, model_id: str, every: int, now: float) -> int:
    shift, delay = _shift_and_delay(grid, model_id, every)
    return (micros(now) - delay - shift) // every * every + shift


def _shift_and_delay(grid: PaneGrid, model_id: str, every: int) -> tuple[int, int]:
    """Where the model's grid begins within `every`, and how long after its instants they are due."""
    if every <= _SECOND:
        return 0, 0
    pane = grid.micros_per_pane(Resolution.FINE)
    of_shift, of_delay = _spread(model_id)
    return of_shift % max(1, every // pane) * pane, of_delay % min(pane, every)


@lru_cache(maxsize=1 << 16)
def _spread(model_id: str) -> tuple[int, int]:
    """Two large numbers that are a model's own, the same in every process and for ever."""
    digest = blake2b(model_id.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
