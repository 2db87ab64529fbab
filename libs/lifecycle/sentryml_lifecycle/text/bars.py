"""The shares of bins as two short rows of block characters, baseline and now: a picture for places that take text only.

Both rows have the same bins in the same order and the same scale, so that a bar of one can be held against that of the
other. Ranges stand first, from low to high, then categories as they are, then all that has no bin of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, OtherBin, RangeBin

BLOCKS = "▁▂▃▄▅▆▇█"
FEWEST, MOST = 3, 24
"""With fewer bins a picture says no more than the words; more would not fit into a line on a phone."""

ORDER = (RangeBin, CategoryBin, OtherBin, NewBin, NullBin)


def bars_of(bins: Sequence[Bin]) -> tuple[str, str] | None:
    """The rows of the baseline and of now; None where there are too few bins. Of many, neighbours are drawn as one."""
    ordered = sorted(bins, key=_place)
    if len(ordered) < FEWEST:
        return None
    size = -(-len(ordered) // MOST)
    before = _together([each.baseline_share for each in ordered], size)
    now = _together([each.current_share for each in ordered], size)
    highest = max(*before, *now)
    return _row(before, highest), _row(now, highest)


def _place(found: Bin) -> tuple[int, float]:
    lower = found.lower if isinstance(found, RangeBin) and found.lower is not None else float("-inf")
    return ORDER.index(type(found)), lower if isinstance(found, RangeBin) else 0.0


def _together(shares: list[float], size: int) -> list[float]:
    return [sum(shares[start : start + size]) for start in range(0, len(shares), size)]


def _row(shares: list[float], highest: float) -> str:
    return "".join(BLOCKS[round(share / highest * (len(BLOCKS) - 1)) if highest > 0 else 0] for share in shares)
