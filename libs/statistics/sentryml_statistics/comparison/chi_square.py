"""The upper tail of the χ² distribution, and its inverse: what scipy would do, without scipy in the worker.

With a = df/2 and t = x/2 the tail is the regularised incomplete gamma function Q(a, t). For t < a + 1 it is
1 − P(a, t) with the power series of P (NIST DLMF 8.7.1); beyond, the continued fraction of Q (DLMF 8.9.2) in
Lentz's form (Press et al., Numerical Recipes, 3rd ed., §6.2). Both are kept as logarithms, so tails far below
1e-300 are still distinguished.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
_EPSILON = 1e-15
_MOST_TERMS = 10_000


def survival(x: float, df: int) -> float:
    """P(X > x) for X ~ χ² with `df` ≥ 1 degrees of freedom."""
    return math.exp(_log_survival(x, df))


@lru_cache(maxsize=4096)
def inverse_survival(probability: float, df: int) -> float:
    """The x with P(X > x) = `probability`, 0 < probability < 1.

    Newton's method on the logarithm of the tail, which is nearly straight, from the normal approximation of
    the cube root (Wilson and Hilferty, PNAS 17, 1931).
    """
    spread = 2 / (9 * df)
    root = 1 - spread - NormalDist().inv_cdf(probability) * math.sqrt(spread)
    x = df * max(root, 0.01) ** 3
    log_probability = math.log(probability)
    for _ in range(100):
        tail = _log_survival(x, df)
        step = (tail - log_probability) * math.exp(tail - _log_density(x, df))
        x = max(x + step, x / 2)
        if abs(step) <= 1e-13 * x:
            break
    return x


def _log_density(x: float, df: int) -> float:
    a = df / 2
    return (a - 1) * math.log(x / 2) - x / 2 - math.lgamma(a) - math.log(2)


def _log_survival(x: float, df: int) -> float:
    a, t = df / 2, x / 2
    if t <= 0:
        return 0.0
    log_front = a * math.log(t) - t - math.lgamma(a)
    if t < a + 1:
        return math.log1p(-math.exp(log_front) * _series(a, t))
    return log_front + math.log(_continued_fraction(a, t))


def _series(a: float, t: float) -> float:
    """Σ tⁿ Γ(a) / Γ(a + 1 + n), n ≥ 0."""
    term = total = 1 / a
    for n in range(1, _MOST_TERMS):
        term *= t / (a + n)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _continued_fraction(a: float, t: float) -> float:
    """1/(t + 1 − a − 1·(1 − a)/(t + 3 − a − 2·(2 − a)/(t + 5 − a − …)))."""
    b = t + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for n in range(1, _MOST_TERMS):
        factor = -n * (n - a)
        b += 2
        d = 1 / (factor * d + b or _TINY)
        c = b + factor / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return value
