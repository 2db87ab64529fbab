"""The cell of a number: the leading bits of its IEEE-754 double under one fixed monotone map.

Cells do not depend on any data, so counts in them add and subtract exactly, whoever counted them. The bits of
a double are like a logarithm with a linear inside: fine near 0, equally fine (relatively) at any magnitude.
A score near 1 needs the same care as one near 0, so inside (½, 1] the bits are those of 1 − x, mirrored; that
subtraction is exact (Sterbenz, Floating-Point Computation, 1974, theorem 4.3.1).

With b(x) the 64 bits of |x| read as an integer, and H = b(½), the code of a number x ≥ 0 is

    x ≤ ½       b(x)                   0 … H
    ½ < x ≤ 1   2H − b(1 − x)          H … 2H
    x > 1       2H + b(x) − b(1)       2H … < 2⁶⁴

and its cell at full precision is code >> 1, so that a signed cell fits 64 bits: two doubles that differ in the
last bit of the mantissa only share a cell. A negative number has minus the cell of |x|. Subnormal numbers
(below 2.3e-308) count as 0. At `dropped` bits the cell k becomes sign(k)·(|k| >> dropped): toward zero, hence
symmetric, and nested: cells at more dropped bits are unions of cells at fewer.

A cell c begins at `lower_edge(c)`, the least number whose cell is c or a later one; the numbers of the cells
first … last − 1 are exactly those with lower_edge(first) ≤ x < lower_edge(last).
"""

from __future__ import annotations

import math
import struct
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cells: TypeAlias = NDArray[np.int64]

FULL_PRECISION = 0
MOST_DROPPED = 62
"""Here only the cells −1, 0 and 1 are left."""

_BITS = struct.Struct("<Q")
_DOUBLE = struct.Struct("<d")


def _bits(value: float) -> int:
    bits: int = _BITS.unpack(_DOUBLE.pack(value))[0]
    return bits


def _from_bits(bits: int) -> float:
    value: float = _DOUBLE.unpack(_BITS.pack(bits))[0]
    return value


_HALF, _ONE, _LARGEST = _bits(0.5), _bits(1.0), _bits(math.nextafter(math.inf, 0.0))
_LEAST_NORMAL_CELL = _bits(2.0**-1022) >> 1
_LAST_CODE = 2 * _HALF + _LARGEST - _ONE


def cells_of(values: NDArray[np.float64], dropped: int = FULL_PRECISION) -> Cells:
    """Return the cell of each number; `values` are finite float64 of any shape."""
    magnitude = np.abs(values)
    bits = magnitude.view(np.uint64)
    mirrored = np.uint64(2 * _HALF) - (1.0 - magnitude).view(np.uint64)
    above = bits + np.uint64(2 * _HALF - _ONE)
    code = np.where(magnitude <= 0.5, bits, np.where(magnitude <= 1.0, mirrored, above))
    cells = (code >> np.uint64(1)).view(np.int64)
    cells = np.where(cells < _LEAST_NORMAL_CELL, 0, cells) >> dropped
    return np.where(values < 0, -cells, cells)


def cell_of(value: float, dropped: int = FULL_PRECISION) -> int:
    """Return the cell of one finite number: `cells_of` without numpy's fixed cost, for a handful of values."""
    magnitude = abs(value)
    if magnitude <= 0.5:
        code = _bits(magnitude)
    elif magnitude <= 1.0:
        code = 2 * _HALF - _bits(1.0 - magnitude)
    else:
        code = 2 * _HALF + _bits(magnitude) - _ONE
    cell = code >> 1
    if cell < _LEAST_NORMAL_CELL:
        return 0
    cell >>= dropped
    return -cell if value < 0 else cell


def coarsen(cells: Cells, from_dropped: int, to_dropped: int) -> Cells:
    """Return the cells at `to_dropped` bits that hold cells at `from_dropped` bits; order is kept.

    Raises:
        ValueError: `to_dropped` is less: precision that was given up does not come back.
    """
    if to_dropped < from_dropped:
        raise ValueError(f"cells at {from_dropped} dropped bits cannot be refined to {to_dropped}")
    shift = to_dropped - from_dropped
    if shift == 0:
        return cells
    # A shift rounds down; a negative cell is raised first, so that it goes toward zero.
    raised = (cells >> 63) & ((1 << shift) - 1)
    return (cells + raised) >> shift


def separations(cells: Cells) -> NDArray[np.int32]:
    """Return for each neighbouring pair of sorted distinct cells the bits to drop until the two are one cell.

    Cells of one sign part at the highest bit in which they differ, cells of opposite sign only when both have
    become 0. The number of cells left after dropping d bits is 1 + the number of separations above d.
    """
    magnitude = np.abs(cells)
    differing = magnitude[1:] ^ magnitude[:-1]
    sign_change = int(np.searchsorted(cells, 0))
    if 0 < sign_change < len(cells):
        differing[sign_change - 1] = magnitude[sign_change] | magnitude[sign_change - 1]
    # Clearing every bit below a set one keeps the highest bit, and keeps rounding to float from raising it.
    return np.frexp((differing & ~(differing >> 1)).astype(np.float64))[1]


def lower_edge(cell: int, dropped: int = FULL_PRECISION) -> float:
    """Return the least number whose cell is `cell` or a later one; infinity when there is none.

    For cells right of 0 that is the least number in the cell. A cell left of 0 is open at its far end, so
    its least number is the one just after the edge of the mirrored cell.
    """
    if cell > 0:
        return _least_at(cell << dropped)
    far_edge = _least_at((1 - cell) << dropped)
    if far_edge <= 2.0**-1022:
        return 0.0
    return math.nextafter(-far_edge, math.inf)


def representative(cell: int, dropped: int = FULL_PRECISION) -> float:
    """Return a number in the cell to show for it: the one nearest the middle with the fewest digits."""
    if cell == 0:
        return 0.0
    lower, upper = lower_edge(cell, dropped), min(lower_edge(cell + 1, dropped), _from_bits(_LARGEST))
    middle = lower / 2 + upper / 2
    for digits in range(17):
        short = float(f"{middle:.{digits}e}")
        if lower <= short < upper:
            return short
    return lower


def _least_at(cell: int) -> float:
    """The least double ≥ 0 with a full-precision cell of at least `cell`."""
    code = max(cell, _LEAST_NORMAL_CELL) << 1
    if code <= _HALF:
        return _from_bits(code)
    if code <= 2 * _HALF:
        rest = _from_bits(2 * _HALF - code)
        value = 1.0 - rest
        # 1 − rest was rounded where rest is finer than doubles just below 1 are.
        return value if 1.0 - value <= rest else math.nextafter(value, 2.0)
    return _from_bits(code - 2 * _HALF + _ONE) if code <= _LAST_CODE else math.inf
