"""Noise: how likely chance alone shows such a difference, without any drift, and how rarely it may be mistaken for one.

For m and n entries of one distribution in B bins, with shares p and q, the likelihood ratio

    G = 2·(n·Σ q ln(q/r) + m·Σ p ln(p/r))        r = (n·q + m·p) / (n + m)

is distributed as χ²(B − 1) (Wilks, Ann. Math. Stat. 9, 1938). Close to no difference PSI is k·G, k = 1/n + 1/m, and so
k·χ²(B − 1) (Yurdakul and Naranjo, J. Risk Model Validation 14(4), 2020). Far from it, where alarms are, PSI is
larger, since it makes much of a bin that chance has left nearly empty; G keeps to χ² there. So it is G that
decides whether a difference can be chance, and the noise floor says the same in PSI: the value at which a
difference of this shape would be exceeded by chance with probability α,

    floor = χ²₁₋α(B − 1) · PSI / G               PSI ≥ floor  ⇔  G ≥ χ²₁₋α(B − 1)

α comes from a budget that people understand, F false incidents per model and month, which its S signals share.
Evaluations more frequent than one per window share their data: r of them in one window W are as many chances as κ
independent ones, at first as many as there are, in the end no more than 20 (extremes come in clumps: D. Aldous,
Probability Approximations via the Poisson Clumping Heuristic, 1989). So

    α = F · W / (κ · S · 30 d)                   1/κ = 1/r + 1/20

What simpler rules were measured to do: docs/adr/0007-noise-budget.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, log

from sentryml_common.contracts.monitor import DAY, MonitorSettings
from sentryml_statistics.comparison.chi_square import inverse_survival, survival
from sentryml_statistics.comparison.psi import Divergence

MOST_CHANCES = 20.0
MONTH_SECONDS = 30.0 * DAY
LARGEST_ALPHA = 0.5

LEAST_RATIO = 1e-6
"""Below this G is mostly rounding, and PSI / G is taken as its limit k."""


def alpha_for(monitor: MonitorSettings, signals: int) -> float:
    """How probably an evaluation may take noise in one of `signals` judged signals for drift, to keep the monthly
    budget; at most ½."""
    windows = MONTH_SECONDS / monitor.current_seconds
    chances = windows * chances_per_window(monitor) * signals
    return min(LARGEST_ALPHA, monitor.false_incidents_per_model_month / chances)


def chances_per_window(monitor: MonitorSettings) -> float:
    """κ: how many independent evaluations those within one window are worth."""
    return 1 / (monitor.every_seconds / monitor.current_seconds + 1 / MOST_CHANCES)


@dataclass(frozen=True, slots=True)
class Chance:
    """How far chance alone goes: the likelihood ratio G of a difference, and the probability of one as large."""

    likelihood_ratio: float
    p_value: float
    noise_floor: float


def chance_of(found: Divergence, baseline_count: int, current_count: int, alpha: float) -> Chance:
    """What chance alone does with samples of these sizes: the noise floor is the PSI that it exceeds with probability
    `alpha`. One bin leaves nothing to it: p is 1 and the floor 0."""
    if found.bins < 2:
        return Chance(0.0, 1.0, 0.0)
    ratio = _likelihood_ratio(found, baseline_count, current_count)
    psi_per_ratio = found.psi / ratio if ratio > LEAST_RATIO else 1 / current_count + 1 / baseline_count
    degrees = found.bins - 1
    return Chance(ratio, survival(ratio, degrees), inverse_survival(alpha, degrees) * psi_per_ratio)


def _likelihood_ratio(found: Divergence, baseline_count: int, current_count: int) -> float:
    """G of the (smoothed) shares, each side weighing as many entries as it has."""
    m, n = baseline_count, current_count
    addends = []
    for p, q in zip(found.baseline_shares, found.current_shares, strict=True):
        r = (n * q + m * p) / (n + m)
        addends.append(n * q * log(q / r) + m * p * log(p / r))
    return max(0.0, 2 * fsum(addends))
