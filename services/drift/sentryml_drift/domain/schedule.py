"""When a model is evaluated: on a grid of its own, so that models take turns.

The instants of a model's grid lie `every` seconds apart, on borders of fine panes. Models are spread over the
borders within `every`, and where a pane is long, over the time after the border as well: an instant is due
only when that delay is over. Both come from a fixed hash of the model's id.

    borders of panes   ├─────────┼─────────┼─────────┼─────────┤
    model a            ●··due               ●··due                    every = 2 panes, no shift, short delay
    model b                      ●······due            ●······due     shift of one pane, longer delay
"""

from __future__ import annotations

from hashlib import blake2b

from sentryml_drift.domain.panes import PaneGrid, Resolution, micros

_SECOND = micros(1.0)


def due_at(grid: PaneGrid, model_id: str, every_seconds: float, now: float) -> float:
    """The newest instant of the model's grid that is due at `now` (epoch seconds).

    With `every_seconds` ≤ 1 all models are due together: there is no time to spread them over.
    """
    every, pane = micros(every_seconds), grid.micros_per_pane(Resolution.FINE)
    shift = delay = 0
    if every > _SECOND:
        spread = int.from_bytes(blake2b(model_id.encode(), digest_size=16).digest())
        shift = spread % max(1, every // pane) * pane
        delay = (spread >> 64) % min(pane, every)
    return ((micros(now) - delay - shift) // every * every + shift) / _SECOND
