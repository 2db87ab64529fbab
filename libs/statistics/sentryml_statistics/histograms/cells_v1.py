"""Cells as they were in version 1 of packed histograms, read as cells of today.

They were the leading 63 bits of a double, not rounded, under the same map; a cell at 28 or more dropped bits is a cell
of today at 28 fewer, but for numbers within half a rounded one of its edge. Finer ones are counted again as numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sentryml_statistics.histograms.cells import Cells, cells_of

MOST_DROPPED = 62

_FINER = 28
_HALF, _ONE = np.array([0.5, 1.0]).view(np.uint64)
_MIRRORED_ONE = _HALF + _HALF


def cells_today(cells: Cells, dropped: int) -> tuple[Cells, int]:
    """Return for each cell of version 1 the one of today that holds its numbers, and the dropped bits of these; the
    order is kept, some may be equal."""
    if dropped >= _FINER:
        return cells, dropped - _FINER
    return cells_of(_numbers(cells, dropped)), 0


def _numbers(cells: Cells, dropped: int) -> NDArray[np.float64]:
    """A number in each cell: the one nearest 0."""
    code = np.abs(cells).view(np.uint64) << np.uint64(dropped + 1)
    rest = (_MIRRORED_ONE - np.clip(code, _HALF, _MIRRORED_ONE)).view(np.float64)
    bits = np.where(code <= _HALF, code, code - _MIRRORED_ONE + _ONE)
    inside = (code > _HALF) & (code <= _MIRRORED_ONE)
    return np.copysign(np.where(inside, 1.0 - rest, bits.view(np.float64)), cells)
