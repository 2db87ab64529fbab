"""PSI straight from the values, as an oracle for the product, and sharing no code with it.

No cells, no histograms: every rule of `docs/drift.md` is applied to the values themselves, in the plainest way.
(Numbers that are one after rounding to 24 bits are not distinguished by the product: give none, or `as_counted`.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]
Value: TypeAlias = float | str | bool | None
Pair: TypeAlias = tuple[int, int]
"""How much of the baseline and of the current window is in a bin."""

NAMES_KEPT = 256


def psi_of_values(baseline: Sequence[Value], current: Sequence[Value], bins: int) -> float:
    """PSI of any values."""
    pairs, new_numbers = _number_pairs(_numbers(baseline), _numbers(current), bins)
    per_bin = len(baseline) / bins
    category_pairs, new_names = _category_pairs(_names(baseline), _names(current), per_bin)
    nulls = sum(value is None for value in baseline), sum(value is None for value in current)
    return psi_of_pairs([*pairs, *category_pairs, (0, new_numbers + new_names), nulls])


def as_counted(numbers: Numbers) -> Numbers:
    """Numbers rounded to 24 bits of mantissa, and 0 for subnormal ones."""
    mantissa, exponent = np.frexp(numbers)
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(mantissa * 2**24), exponent - 24)
    return np.where(np.abs(rounded) < 2.0**-1022, 0.0, rounded)


def psi_of_numbers(baseline: Numbers, current: Numbers, bins: int) -> float:
    """PSI of numbers alone, fast enough for many."""
    pairs, new = _number_pairs(baseline, current, bins)
    return psi_of_pairs([*pairs, (0, new)])


def psi_of_deciles(baseline: Numbers, current: Numbers) -> float:
    """PSI as every textbook has it: ten bins between the deciles of the baseline."""
    edges = np.quantile(baseline, np.arange(1, 10) / 10)
    return psi_of_pairs(list(zip(_between(baseline, edges), _between(current, edges), strict=True)))


def psi_of_pairs(pairs: Sequence[Pair]) -> float:
    """PSI of counts: half an entry more in each bin that has any on either side."""
    counts = np.array([pair for pair in pairs if any(pair)]) + 0.5
    p, q = (counts / counts.sum(axis=0)).T
    return float(((q - p) * np.log(q / p)).sum())


def _number_pairs(baseline: Numbers, current: Numbers, bins: int) -> tuple[list[Pair], int]:
    """Atoms, and the stretches between them cut at quantiles; how many current numbers lie in neither."""
    values, counts = np.unique(baseline, return_counts=True)
    atoms = values[(counts * bins >= len(baseline)) & (counts > 1)]
    pairs = [(int((baseline == atom).sum()), int((current == atom).sum())) for atom in atoms]
    for low, high in pairwise([-np.inf, *atoms, np.inf]):
        inside = (values > low) & (values < high)
        if inside.any():
            edges = values[inside][_cuts(counts[inside].tolist(), len(baseline) / bins)]
            there, here = ((side[(side > low) & (side < high)]) for side in (baseline, current))
            pairs += zip(_between(there, edges), _between(here, edges), strict=True)
    return pairs, len(current) - sum(now for _, now in pairs)


def _category_pairs(baseline: list[str], current: list[str], per_bin: float) -> tuple[list[Pair], int]:
    """Frequent names (or groups of names), and the others in the order of their hashes; how many are new."""
    dropped = max(_bits_dropped(set(side)) for side in (baseline, current))
    was, now = (Counter(_group(name, dropped) for name in side) for side in (baseline, current))
    place = {_group(name, dropped): _hash(name) >> dropped for name in baseline}
    rare = sorted((group for group in was if 2 * was[group] < per_bin), key=lambda group: place[group])
    pairs = [(was[group], now[group]) for group in was if 2 * was[group] >= per_bin]
    borders = [0, *_cuts([was[group] for group in rare], per_bin), len(rare)] if rare else []
    for start, end in pairwise(borders):
        pairs.append((sum(was[group] for group in rare[start:end]), sum(now[group] for group in rare[start:end])))
    return pairs, sum(count for group, count in now.items() if group not in was)


def _cuts(counts: list[int], per_bin: float) -> list[int]:
    """Before which entries a row of counts is cut: nearest to each quantile, the later one where two are as near."""
    below = np.concatenate(([0], np.cumsum(counts)))
    pieces = max(1, round(sum(counts) / per_bin))
    distances = (np.abs(below * pieces - sum(counts) * k) for k in range(1, pieces))
    found = {len(below) - 1 - int(each[::-1].argmin()) for each in distances}
    return sorted(found - {0, len(counts)})


def _between(numbers: Numbers, edges: Numbers) -> list[int]:
    counts: list[int] = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1).tolist()
    return counts


def _bits_dropped(names: set[str]) -> int:
    return next(bits for bits in range(65) if len({_group(name, bits) for name in names}) <= NAMES_KEPT)


def _group(name: str, dropped: int) -> Hashable:
    return _hash(name) >> dropped if dropped else name


@cache
def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def _numbers(values: Sequence[Value]) -> Numbers:
    return np.array(
        [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)], float
    )


def _names(values: Sequence[Value]) -> list[str]:
    return [
        str(value).lower() if isinstance(value, bool) else value for value in values if isinstance(value, bool | str)
    ]
