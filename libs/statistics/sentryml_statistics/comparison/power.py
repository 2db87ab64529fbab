"""What can be seen: the smallest shift that an evaluation finds nine times in ten.

A shift of PSI D makes the likelihood ratio G of `noise` noncentral χ²(B − 1), with noncentrality λ = D / k and
k = 1/n + 1/m, to first order (Cohen, Statistical Power Analysis for the Behavioral Sciences, ch. 7, 1988). It is found
where G exceeds χ²₁₋α(B − 1), so the smallest shift found with probability 0.9 is

    D = λ*·(1/n + 1/m)           P(χ²(B − 1, λ*) > χ²₁₋α(B − 1)) = 0.9

Below the monitor's warning threshold nothing is found, however many events there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, lgamma, log

from sentryml_common.contracts.evaluation import Evaluation, Signal, SignalEvaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.comparison.chi_square import inverse_survival, survival
from sentryml_statistics.comparison.noise import alpha_for

POWER = 0.9
_NEGLIGIBLE = 1e-12


def smallest_shifts(
    monitor: MonitorSettings, evaluation: Evaluation, effects: Mapping[Signal, float] | None = None
) -> list[tuple[SignalEvaluation, float]]:
    """Each signal that was compared, and the smallest shift of it that a monitor finds with as many events; where
    design effects are given, these are worth fewer."""
    judged = [found for found in evaluation.signals if found.reason is None]
    alpha = alpha_for(monitor, len(judged)) if judged else 1.0

    def shift(found: SignalEvaluation) -> float:
        effect = (effects or {}).get(found.signal, 1.0)
        counts = found.baseline_count / effect, found.current_count / effect
        return smallest_shift(*counts, max(2, len(found.bins)), alpha, monitor.warn)

    return [(found, shift(found)) for found in judged]


def smallest_shift(baseline_count: float, current_count: float, bins: int, alpha: float, warn: float) -> float:
    """The smallest PSI that an evaluation with these counts of independent events (both above 0) and at least two bins
    finds nine times in ten."""
    return max(warn, noncentrality(bins - 1, alpha) * (1 / baseline_count + 1 / current_count))


@lru_cache(maxsize=1024)
def noncentrality(degrees: int, alpha: float, power: float = POWER) -> float:
    """λ with P(χ²(degrees, λ) > χ²₁₋α(degrees)) = `power`, by bisection."""
    limit = inverse_survival(alpha, degrees)
    low, high = 0.0, 1.0
    while _noncentral_survival(limit, degrees, high) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _noncentral_survival(limit, degrees, middle) < power else (low, middle)
    return high


def _noncentral_survival(x: float, degrees: int, noncentrality: float) -> float:
    """P(χ²(degrees, λ) > x): central tails, weighted by a Poisson distribution of mean λ/2 (NIST; Johnson, Kotz and
    Balakrishnan, Continuous Univariate Distributions 2, ch. 29)."""
    mean = noncentrality / 2
    middle = int(mean)
    return _tail(x, degrees, mean, range(middle, middle + 100_000)) + _tail(x, degrees, mean, range(middle - 1, -1, -1))


def _tail(x: float, degrees: int, mean: float, terms: range) -> float:
    """The part of the sum in the given order, from the heaviest weight on, until weights are negligible."""
    total = 0.0
    for term in terms:
        weight = exp(term * log(mean) - mean - lgamma(term + 1)) if mean > 0 else float(term == 0)
        if weight < _NEGLIGIBLE:
            break
        total += weight * survival(x, degrees + 2 * term)
    return total
