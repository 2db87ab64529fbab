"""The domain's evaluation of many models at once, on arrays of counts.

It follows `sentryml_drift.domain` line by line (`binning`, `psi`, `noise`, `evaluation`) for scores without atoms
and a few categories of which at most one is rare; tests/unit/bench holds it equal to `evaluate` on the same events:
PSI, noise floor and level.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.noise.traffic import CATEGORIES, SCORES, Counts
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.comparison.chi_square import inverse_survival
from sentryml_statistics.comparison.noise import LEAST_RATIO, alpha_for

Floats = NDArray[np.float64]
SIGNALS = 2
Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What evaluations of many models at one time have found; psi and floor are float64[models, signals]."""

    at: datetime
    baseline_count: NDArray[np.int64]
    current_count: NDArray[np.int64]
    enough: NDArray[np.bool_]
    psi: Floats
    floor: Floats


def evaluate_many(at: datetime, monitor: MonitorSettings, baseline: Counts, current: Counts) -> Figures:
    """Compare the current windows of many models with their baselines (both int[models, CELLS])."""
    m, n = baseline[:, CATEGORIES].sum(axis=1), current[:, CATEGORIES].sum(axis=1)
    alpha = alpha_for(monitor, SIGNALS)
    scores = _score_bins(baseline[:, SCORES], current[:, SCORES], monitor.bins)
    categories = _category_bins(baseline[:, CATEGORIES], current[:, CATEGORIES], monitor.bins)
    found = [_compare(*scores, alpha), _compare(*categories, alpha)]
    return Figures(
        at=at,
        baseline_count=m,
        current_count=n,
        enough=np.minimum(m, n) >= monitor.samples_needed,
        psi=np.stack([psi for psi, _ in found], axis=1),
        floor=np.stack([floor for _, floor in found], axis=1),
    )


def _compare(baseline: Counts, current: Counts, alpha: float) -> tuple[Floats, Floats]:
    """PSI (`domain.psi`) and noise floor (`domain.noise`) of each row; bins that both sides leave empty are none.

    Where a side is empty the figures mean nothing, and are not looked at.
    """
    filled = (baseline > 0) | (current > 0)
    bins = filled.sum(axis=1)
    m, n = np.maximum(baseline.sum(axis=1), 1)[:, None], np.maximum(current.sum(axis=1), 1)[:, None]
    p, q = _smoothed(baseline, bins), _smoothed(current, bins)
    psi = ((q - p) * np.log(q / p)).sum(axis=1, where=filled)
    r = (n * q + m * p) / (n + m)
    ratio = 2 * (n * q * np.log(q / r) + m * p * np.log(p / r)).sum(axis=1, where=filled)
    shape = np.where(ratio > LEAST_RATIO, psi / np.maximum(ratio, LEAST_RATIO), (1 / n + 1 / m)[:, 0])
    return psi, _critical(bins, alpha) * shape


def _smoothed(counts: Counts, bins: NDArray[np.int64]) -> Floats:
    shares: Floats = (counts + 0.5) / (counts.sum(axis=1) + np.maximum(bins, 1) / 2)[:, None]
    return shares


def _critical(bins: NDArray[np.int64], alpha: float) -> Floats:
    """The χ² that chance exceeds with probability `alpha`, for each number of bins."""
    tail = [0.0, 0.0, *(inverse_survival(alpha, number - 1) for number in range(2, int(bins.max(initial=1)) + 1))]
    return np.array(tail)[bins]


def _category_bins(baseline: Counts, current: Counts, bins: int) -> tuple[Counts, Counts]:
    """Each category is a bin; one that is rare is the bin of rare ones, one that is new that of new ones.

    Raises:
        ValueError: several are rare, and share a bin that this does not know how to make.
    """
    if ((2 * baseline < baseline.sum(axis=1, keepdims=True) / bins).sum(axis=1) > 1).any():
        raise ValueError("several categories share a bin of rare ones: simulate more events per baseline")
    return baseline, current


def _score_bins(baseline: Counts, current: Counts, bins: int) -> tuple[Counts, Counts]:
    """Count both sides in the bins of the baseline (`domain.binning`)."""
    cuts = _cuts(baseline, bins)
    return np.diff(_below(baseline, cuts), axis=1), np.diff(_below(current, cuts), axis=1)


def _below(counts: Counts, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many entries lie before each cut."""
    return np.take_along_axis(_accumulated(counts), cuts, axis=1)


def _accumulated(counts: Counts) -> NDArray[np.int64]:
    below = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int64)
    np.cumsum(counts, axis=1, out=below[:, 1:])
    return below


def _cuts(baseline: Counts, bins: int) -> NDArray[np.int64]:
    """Before which cell each row is cut, with both ends (int64[models, bins + 1]); equal cuts leave empty bins.

    Raises:
        ValueError: some cell is an atom, whose bin this does not know how to make.
    """
    below = _accumulated(baseline)
    entries = below[:, -1:]
    if (np.maximum(baseline, 1) >= np.maximum(entries / bins, 2)).any():
        raise ValueError("a score is so frequent that it has a bin of its own: simulate more events per baseline")
    targets = entries * np.arange(1, bins) / bins
    right = _rank(below, targets, "left")
    lower, upper = np.take_along_axis(below, right - 1, axis=1), np.take_along_axis(below, right, axis=1)
    nearest = np.where(targets - lower < upper - targets, lower, upper)
    # The domain knows only cells that the baseline has filled: a cut lies before a filled cell, or at an end.
    inner = np.where(nearest == 0, 0, _rank(below, nearest, "right") - 1)
    ends = np.zeros_like(entries), np.full_like(entries, baseline.shape[1])
    return np.hstack((ends[0], inner, ends[1]))


def _rank(below: NDArray[np.int64], values: Floats | NDArray[np.int64], side: Side) -> NDArray[np.int64]:
    """`np.searchsorted` row by row, in one go: rows are moved apart so that all together are sorted."""
    rows, width = below.shape
    apart = np.arange(rows)[:, None] * (int(below[:, -1].max(initial=0)) + 2)
    found = np.searchsorted((below + apart).ravel(), (values + apart).ravel(), side=side)
    ranks: NDArray[np.int64] = found.reshape(values.shape) - np.arange(rows)[:, None] * width
    return ranks
