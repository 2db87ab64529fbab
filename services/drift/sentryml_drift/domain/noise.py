"""Noise: the PSI that samples of a given size show without any drift, and how rarely it may be mistaken for one.

For n and m entries in B bins of one distribution, PSI ≈ k·χ²(B − 1) with k = 1/n + 1/m (Yurdakul and Naranjo,
J. Risk Model Validation 14(4), 2020). The noise floor is the value that this exceeds with probability α.

α comes from a budget that people understand, F false incidents per model and month. Evaluations of a window of
W seconds made much oftener than every W share most of their data; a month of them behaves like κ = 8 times
as many independent ones as there are windows in it (reference/drift-statistics §2.6b, measured). So

    α = F · W / (κ · 30 d)
"""

from __future__ import annotations

from sentryml_common.contracts.monitor import DAY
from sentryml_drift.domain.chi_square import inverse_survival, survival

OVERLAP_EXCESS = 8.0
MONTH_SECONDS = 30.0 * DAY
LARGEST_ALPHA = 0.5


def alpha_for(false_incidents_per_month: float, window_seconds: float) -> float:
    """The probability, per evaluation, of taking noise for drift that keeps the monthly budget; at most ½."""
    return min(LARGEST_ALPHA, false_incidents_per_month * window_seconds / (OVERLAP_EXCESS * MONTH_SECONDS))


def noise_floor(bins: int, baseline_count: int, current_count: int, alpha: float) -> float:
    """The PSI that chance alone exceeds with probability `alpha`; 0 where one bin leaves nothing to chance."""
    if bins < 2:
        return 0.0
    return inverse_survival(alpha, bins - 1) * _scale(baseline_count, current_count)


def p_value(psi: float, bins: int, baseline_count: int, current_count: int) -> float:
    """The probability that chance alone shows a PSI of at least `psi`."""
    if bins < 2:
        return 1.0
    return survival(psi / _scale(baseline_count, current_count), bins - 1)


def _scale(baseline_count: int, current_count: int) -> float:
    return 1 / current_count + 1 / baseline_count
