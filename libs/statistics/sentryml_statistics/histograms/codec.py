"""Histograms as bytes: small, versioned, and equal for equal counts.

    packed     version: u8 │ number of histograms: u8 │ a body each │ crc32 of all before: u32
    body       width of gaps, width of counts, dropped bits of numbers, of categories: 4 × u8
               cells n: u16 │ categories m: u16
               first cell: i64 (if n > 0) │ n − 1 gaps to the cell before
               n counts of cells, m of categories, 1 of nulls
               m name lengths in bytes: u16 │ the names, UTF-8, in order of the names

Little-endian throughout; gaps and counts are unsigned, in the least of 1, 2, 4, 8 bytes that fits them all.
Version 1 had finer cells (`cells_v1`); it is still read.
The checksum distinguishes what we packed from anything else, so a body is only checked for its lengths.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sentryml_common.errors import UndecodableMessage
from sentryml_statistics.histograms import cells_v1
from sentryml_statistics.histograms.category_counts import NO_CATEGORIES, CategoryCounts
from sentryml_statistics.histograms.cell_counts import FEW, MAX_CELLS, NO_NUMBERS, CellCounts
from sentryml_statistics.histograms.cells import MOST_DROPPED
from sentryml_statistics.histograms.histogram import Histogram

VERSION = 2
_MOST_DROPPED = {1: cells_v1.MOST_DROPPED, VERSION: MOST_DROPPED}
"""Of each version that is read."""

_START = struct.Struct("<BB")
_HEAD = struct.Struct("<BBBBHH")
_CELL = struct.Struct("<q")
_CHECKSUM = struct.Struct("<I")
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_ONLY_NULLS = {width: struct.Struct(f"<BBBBHH{code}") for width, code in _CODES.items()}
_ONE_CELL = {width: struct.Struct(f"<BBBBHHq{code}{code}") for width, code in _CODES.items()}
_FEW_OF = {width: [struct.Struct(f"<{n}{code}") for n in range(FEW + 1)] for width, code in _CODES.items()}


def pack_histograms(histograms: Sequence[Histogram]) -> bytes:
    """Return some histograms that belong together as bytes."""
    content = b"".join((_START.pack(VERSION, len(histograms)), *map(_body, histograms)))
    return content + _CHECKSUM.pack(crc32(content))


def unpack_histograms(packed: bytes, expected: int) -> list[Histogram]:
    """Read as many histograms as there must be.

    Raises:
        UndecodableMessage: these are not the bytes of `expected` histograms of a known version.
    """
    end = check_packed(packed, expected)
    try:
        found, at = [], _START.size
        for _ in range(expected):
            histogram, at = _read_body(packed, at)
            found.append(histogram)
    except (struct.error, ValueError, OverflowError) as err:
        raise UndecodableMessage("bad_counts", f"packed counts do not hold together: {err}") from err
    if at != end:
        raise UndecodableMessage("bad_counts", f"packed counts end at byte {at}, not at {end}")
    return found


def check_packed(packed: bytes, expected: int) -> int:
    """See that these are the bytes of `expected` histograms, without reading them; return where the last one ends.

    Raises:
        UndecodableMessage: they are not.
    """
    end = len(packed) - _CHECKSUM.size
    if end < _START.size or packed[0] not in _MOST_DROPPED:
        raise UndecodableMessage("unknown_version", f"packed counts start with {packed[:1]!r}, expected {VERSION}")
    if _CHECKSUM.unpack_from(packed, end)[0] != crc32(memoryview(packed)[:end]):
        raise UndecodableMessage("bad_checksum", "packed counts are damaged or cut short")
    if packed[1] != expected:
        raise UndecodableMessage("bad_counts", f"{packed[1]} histograms are packed, expected {expected}")
    return end


def _body(histogram: Histogram) -> bytes:
    if histogram.categories.counts or len(histogram.numbers.cells) > 1:
        return _body_of_many(histogram)
    return _body_of_one(histogram)


def _body_of_one(histogram: Histogram) -> bytes:
    """The same bytes for at most one number and no category, several times as fast: most panes of a backfill are so."""
    numbers, nulls, dropped = histogram.numbers, histogram.nulls, histogram.categories.dropped
    if not numbers.cells:
        width = _width(nulls)
        return _ONLY_NULLS[width].pack(1, width, numbers.dropped, dropped, 0, 0, nulls)
    count = numbers.counts[0]
    width = _width(max(count, nulls))
    return _ONE_CELL[width].pack(1, width, numbers.dropped, dropped, 1, 0, numbers.cells[0], count, nulls)


def _body_of_many(histogram: Histogram) -> bytes:
    numbers, categories = histogram.numbers, histogram.categories.counts
    names = sorted(categories)
    counts = numbers.counts[:]
    counts.extend([categories[name] for name in names])
    counts.append(histogram.nulls)
    first, gaps_width, gaps = _packed_cells(numbers.cells)
    counts_width, packed_counts = _packed(counts)
    dropped = numbers.dropped, histogram.categories.dropped
    head = _HEAD.pack(gaps_width, counts_width, *dropped, len(numbers.cells), len(names))
    return b"".join((head, first, gaps, packed_counts, _packed_names(names)))


def _read_body(packed: bytes, at: int) -> tuple[Histogram, int]:
    gaps_width, counts_width, dropped, categories_dropped, n, m = _HEAD.unpack_from(packed, at)
    if gaps_width not in _CODES or counts_width not in _CODES or dropped > _MOST_DROPPED[packed[0]] or n > MAX_CELLS:
        raise ValueError("widths, dropped bits or number of cells out of range")
    at += _HEAD.size
    cells = NO_NUMBERS.cells
    if n:
        cells = _read_cells(packed, at, n, gaps_width)
        at += _CELL.size + (n - 1) * gaps_width
    counts = _read_counts(packed, at, n + m + 1, counts_width)
    at += (n + m + 1) * counts_width
    nulls = counts.pop()
    categories = NO_CATEGORIES
    if m:
        names, at = _read_names(packed, at, m)
        categories = CategoryCounts(categories_dropped, dict(zip(names, counts[n:], strict=True)))
        del counts[n:]
    return Histogram(_numbers(packed[0], dropped, cells, counts), categories, nulls), at


def _numbers(version: int, dropped: int, cells: array[int], counts: array[int]) -> CellCounts:
    if not cells:
        return NO_NUMBERS
    if version == VERSION:
        return CellCounts(dropped, cells, counts)
    today, dropped = cells_v1.cells_today(np.asarray(cells), dropped)
    return CellCounts.of_sorted(dropped, today, np.asarray(counts))


def _packed_cells(cells: array[int]) -> tuple[bytes, int, bytes]:
    """The first cell, and the distances between neighbours with their width."""
    if not cells:
        return b"", 1, b""
    gaps: Sequence[int] | NDArray[np.uint64]
    if len(cells) <= FEW:
        gaps = [right - left for left, right in pairwise(cells)]
    else:
        gaps = np.diff(np.asarray(cells)).view(np.uint64)
    return _CELL.pack(cells[0]), *_packed(gaps)


def _read_cells(packed: bytes, at: int, n: int, width: int) -> array[int]:
    (first,) = _CELL.unpack_from(packed, at)
    at += _CELL.size
    if n <= FEW:
        gaps = _FEW_OF[width][n - 1].unpack_from(packed, at)
        return array("q", accumulate(gaps, initial=first))
    cells = np.empty(n, np.int64)
    cells[0] = first
    cells[1:] = np.frombuffer(packed, f"<u{width}", n - 1, at)
    return array("q", cells.cumsum().tobytes())


def _packed(values: Sequence[int] | NDArray[np.uint64]) -> tuple[int, bytes]:
    """The least width that fits all values, and the values in it."""
    if len(values) <= FEW:
        width = _width(max(values, default=0))
        return width, _FEW_OF[width][len(values)].pack(*values)
    many = np.asarray(values)
    width = _width(int(many.max()))
    return width, many.astype(f"<u{width}").tobytes()


def _read_counts(packed: bytes, at: int, n: int, width: int) -> array[int]:
    if n <= FEW:
        return array("q", _FEW_OF[width][n].unpack_from(packed, at))
    return array("q", np.frombuffer(packed, f"<u{width}", n, at).astype(np.int64).tobytes())


def _packed_names(names: Sequence[str]) -> bytes:
    if not names:
        return b""
    encoded = [name.encode() for name in names]
    return struct.pack(f"<{len(encoded)}H", *map(len, encoded)) + b"".join(encoded)


def _read_names(packed: bytes, at: int, m: int) -> tuple[list[str], int]:
    lengths = struct.unpack_from(f"<{m}H", packed, at)
    ends = list(accumulate(lengths, initial=at + 2 * m))
    return [packed[start:end].decode() for start, end in pairwise(ends)], ends[-1]


def _width(largest: int) -> int:
    """The least number of bytes that holds `largest`."""
    if largest < 1 << 8:
        return 1
    if largest < 1 << 16:
        return 2
    return 4 if largest < 1 << 32 else 8
