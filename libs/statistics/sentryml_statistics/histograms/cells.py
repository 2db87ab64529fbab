"""The cell of a number: the leading bits of its IEEE-754 double under one fixed monotone map.

Cells do not depend on any data, so counts in them add and subtract exactly, wherever they were counted. The bits of
a double are like a logarithm with a linear inside: fine near 0, equally fine (relatively) at any magnitude.
A score near 1 needs the same care as one near 0, so inside (½, 1] the bits are those of 1 − r, mirrored.

A double x is first rounded to the nearest number r with 24 bits of mantissa, as conversion to float32 does (ties
to even), but with a double's exponents. So a number has one cell, whether it was sent as double or as float32.
Rounding comes before mirroring: 1 − 0.9 and 1 − float32(0.9) differ even as float32. In (½, 1] r is a multiple
of 2⁻²⁴, so that 1 − r is exact and needs no more than 24 bits.

With b(r) the leading 35 bits of r ≥ 0 read as an integer, and H = b(½), the code of r is

    r ≤ ½       b(r)                   0 … H
    ½ < r ≤ 1   2H − b(1 − r)          H … 2H
    r > 1       2H + b(r) − b(1)       2H … < 2³⁵

and is its cell at full precision. A negative number has minus the cell of |x|. Subnormal numbers (below 2.2e-308)
count as 0. At `dropped` bits the cell k becomes sign(k)·(|k| >> dropped): toward zero, hence symmetric, and nested:
cells at more dropped bits are unions of cells at fewer.

A cell c begins at `lower_edge(c)`; the numbers of the cells first … last − 1 are exactly those with
lower_edge(first) ≤ x < lower_edge(last), where all three are compared as rounded to 24 bits.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cells: TypeAlias = NDArray[np.int64]

FULL_PRECISION = 0
MOST_DROPPED = 34
"""Here only the cells −1, 0 and 1 are left."""

_BITS = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_ROUNDED_OFF = 53 - 24
_JUST_UNDER_HALF = (1 << (_ROUNDED_OFF - 1)) - 1
_UNIT = 2.0**-24
"""The distance of neighbouring rounded numbers in (½, 1]."""


def _leading(value: float) -> int:
    """b(r) of a number ≥ 0. Half is added, less one where the last bit kept is 0: ties go to even."""
    bits: int = _BITS.unpack(_DOUBLE.pack(value))[0]
    return (bits + _JUST_UNDER_HALF + (bits >> _ROUNDED_OFF & 1)) >> _ROUNDED_OFF


def _from_leading(leading: int) -> float:
    value: float = _DOUBLE.unpack(_BITS.pack(leading << _ROUNDED_OFF))[0]
    return value


_LARGEST = math.nextafter(math.inf, 0.0)
_HALF, _ONE, _LEAST_NORMAL = _leading(0.5), _leading(1.0), _leading(2.0**-1022)
_LAST_CODE = 2 * _HALF + _leading(_LARGEST) - _ONE


def cells_of(values: NDArray[np.float64], dropped: int = FULL_PRECISION) -> Cells:
    """Return the cell of each number; `values` are finite float64 of any shape."""
    bits = np.abs(values).view(np.int64)
    cells = bits >> _ROUNDED_OFF
    cells &= 1
    cells += bits
    cells += _JUST_UNDER_HALF
    cells >>= _ROUNDED_OFF
    # All three lines of the table at once, for c = the nearest to r in [½, 1]: b(r) − b(c) + 2H − b(1 − c).
    inside = np.minimum(np.maximum(cells, _HALF), _ONE)
    cells -= inside
    inside <<= _ROUNDED_OFF
    rest = inside.view(np.float64)
    np.subtract(1.0, rest, out=rest)
    inside >>= _ROUNDED_OFF
    cells -= inside
    cells += 2 * _HALF
    cells *= cells >= _LEAST_NORMAL
    cells >>= dropped
    sign = values.view(np.int64) >> 63
    cells ^= sign
    cells -= sign
    return cells


def cell_of(value: float, dropped: int = FULL_PRECISION) -> int:
    """Return the cell of one finite number: `cells_of` without numpy's fixed cost, for a handful of values."""
    code = _leading(abs(value))
    if code > _ONE:
        code += 2 * _HALF - _ONE
    elif code > _HALF:
        code = 2 * _HALF - _leading((_ONE - code) * _UNIT)
    elif code < _LEAST_NORMAL:
        return 0
    cell = code >> dropped
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
    """Return the least rounded number whose cell is `cell` or a later one, in the fewest digits that round to it;
    infinity when there is none.

    For cells right of 0 that is the least number in the cell; left of 0 the one after the edge of the mirrored cell.
    """
    if cell > 0:
        return _shortest(_number_at(max(cell << dropped, _LEAST_NORMAL), math.floor))
    last_code = ((1 - cell) << dropped) - 1
    if last_code < _LEAST_NORMAL:
        return 0.0
    return -_shortest(_number_at(min(last_code, _LAST_CODE), math.ceil))


def representative(cell: int, dropped: int = FULL_PRECISION) -> float:
    """Return a number in the cell to show for it: the one nearest the middle with the fewest digits."""
    if cell == 0:
        return 0.0
    lower = lower_edge(cell, dropped)
    if dropped == 0:
        return lower
    upper = min(lower_edge(cell + 1, dropped), _LARGEST)
    middle = lower / 2 + upper / 2
    for digits in range(17):
        short = float(f"{middle:.{digits}e}")
        if cell_of(short, dropped) == cell:
            return short
    return lower


def _number_at(code: int, rest_to: Callable[[float], int]) -> float:
    """The rounded number ≥ 0 with this code; inside (½, 1), where not every code has one, its neighbour: the next above
    if the rest to 1 is rounded by `math.floor`, the next below if by `math.ceil`."""
    if code <= _HALF:
        return _from_leading(code)
    if code <= 2 * _HALF:
        return 1.0 - rest_to(_from_leading(2 * _HALF - code) / _UNIT) * _UNIT
    return min(_from_leading(code - 2 * _HALF + _ONE), _LARGEST) if code <= _LAST_CODE else math.inf


def _shortest(rounded: float) -> float:
    """The double with the fewest digits that rounds to `rounded`, within the range of float32."""
    if 2.0**-126 <= rounded < 2.0**128:
        return float(str(np.float32(rounded)))
    return rounded
