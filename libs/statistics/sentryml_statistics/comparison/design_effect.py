"""The design effect: how much more windows of a model differ from each other than independent events would.

Weather, campaigns and retries make events of one day alike, so that days differ although nothing is wrong. Independent
events in D blocks and B bins, with counts c, have a Pearson statistic of about (D − 1)(B − 1). How many times as large
it is, is the design effect (J. N. K. Rao and A. J. Scott, J. Am. Stat. Assoc. 76, 1981, first order),

    δ = max(1, X² / ((D − 1)(B − 1)))         X² = Σ_d Σ_i (c_di − n_d π_i)² / (n_d π_i),  π_i = Σ_d c_di / Σ_d n_d

and n events are worth n / δ independent ones. It is shown, and no part of the noise floor: measured on real streams, a
floor raised by it calls lasting drift over, or changes nothing (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST_BLOCKS = 4
"""With fewer, the effect of one odd block is that of all."""


def design_effect(counts: Sequence[Sequence[int]]) -> float | None:
    """The design effect of blocks, from their counts in the same bins (int[D][B]); None where fewer than four blocks
    have events, or fewer than two bins."""
    table = np.array([row for row in counts if sum(row)], dtype=np.float64)
    if len(table) < FEWEST_BLOCKS:
        return None
    table = table[:, table.sum(axis=0) > 0]
    blocks, bins = table.shape
    if bins < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0) / table.sum())
    statistic = float((np.square(table - expected) / expected).sum())
    return float(max(1.0, statistic / ((blocks - 1) * (bins - 1))))
