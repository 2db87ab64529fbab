"""The Population Stability Index of two sets of counts in the same bins.

    p_i = (b_i + ½) / (m + B/2)      baseline, m entries       PSI = Σ (q_i − p_i) ln(q_i / p_i)
    q_i = (c_i + ½) / (n + B/2)      current, n entries        overlap = Σ min(p_i, q_i)

PSI is the symmetric divergence of Jeffreys (Proc. R. Soc. A 186, 1946): ≥ 0, 0 only for equal shares, unbounded.
The half added to each count is Jeffreys' prior: an empty bin costs what it should instead of a chosen epsilon,
and the mean without drift stays what `noise` says. B counts the bins that there are, atoms, new and null among them.
The overlap is 1 − total variation: the part of the two distributions that is common (arXiv 2303.01227).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, log


@dataclass(frozen=True, slots=True)
class Divergence:
    """Shares of both sides and addends of the PSI per bin; the PSI and the overlap of all."""

    baseline_shares: list[float]
    current_shares: list[float]
    contributions: list[float]
    psi: float
    overlap: float

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.contributions)


def divergence(baseline: Sequence[int], current: Sequence[int]) -> Divergence:
    """Compare counts of at least one bin; both sequences are of one length."""
    shares = list(zip(smoothed_shares(baseline), smoothed_shares(current), strict=True))
    contributions = [(q - p) * log(q / p) for p, q in shares]
    return Divergence(
        baseline_shares=[p for p, _ in shares],
        current_shares=[q for _, q in shares],
        contributions=contributions,
        psi=fsum(contributions),
        overlap=fsum(min(share) for share in shares),
    )


def smoothed_shares(counts: Sequence[int]) -> list[float]:
    """Shares with half a count added to each bin; they add up to 1."""
    whole = sum(counts) + len(counts) / 2
    return [(count + 0.5) / whole for count in counts]
