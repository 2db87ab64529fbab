"""Made-up traffic of many models at once: Poisson events with a daily rhythm, counted per slot of five minutes.

A score is one of SCORE_CELLS equally frequent values, a prediction one of five categories, independent of the
score: the worst case for false alarms, since two signals that move together alarm together. So few values are
counted exactly by the domain's histograms, and an array of their counts says all that a histogram would.

    counts[model]   │ score 0 │ score 1 │ … │ score 199 ║ category a │ b │ c │ d │ e │
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sentryml_common.contracts.monitor import DAY, HOUR

SLOT_SECONDS = 300
SLOTS_PER_DAY = DAY // SLOT_SECONDS
RHYTHM = 0.8
"""At its busiest, a day has 1.8 times the mean rate, at its quietest a fifth of it."""

SCORE_CELLS = 200
CATEGORY_SHARES = (0.45, 0.25, 0.15, 0.12, 0.03)
CELLS = SCORE_CELLS + len(CATEGORY_SHARES)
SCORES, CATEGORIES = slice(0, SCORE_CELLS), slice(SCORE_CELLS, CELLS)

Counts = NDArray[np.integer]
"""[models, CELLS]"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What models of one kind send; after the step, the PSI of their scores in tenths is `step_psi`. Scores of one day
    are alike with the intra-class correlation `day_correlation`."""

    events_per_hour: float
    step_psi: float = 0.0
    day_correlation: float = 0.0

    def day(self, random: np.random.Generator, models: int) -> NDArray[np.float64] | None:
        """How much of the scores of one day lies in each tenth (float64[models, 10]); None where all days are alike.

        Shares are Dirichlet-distributed: counts of a day are then Dirichlet-multinomial, with this correlation (J. E.
        Mosimann, Biometrika 49, 1962).
        """
        if not self.day_correlation:
            return None
        return random.dirichlet(np.full(10, 0.1 * (1 / self.day_correlation - 1)), models)

    def draw(
        self, random: np.random.Generator, slot: int, stepped: NDArray[np.bool_], day: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """The counts of one slot (int64[models, CELLS]); `stepped` says which models have made the step."""
        models = len(stepped)
        events = random.poisson(self.events_in(slot), models)
        of_model = np.repeat(np.arange(models), events)
        quantiles = random.random(len(of_model))
        if day is not None:
            tenths = (quantiles[:, np.newaxis] > day.cumsum(axis=1)[of_model, :-1]).sum(axis=1)
            quantiles = (tenths + random.random(len(of_model))) / 10
        if stepped.any():
            moved = stepped[of_model]
            quantiles[moved] = _tilted(quantiles[moved], tilt_for(self.step_psi))
        cells = of_model * SCORE_CELLS + (quantiles * SCORE_CELLS).astype(np.int64)
        scores = np.bincount(cells, minlength=models * SCORE_CELLS).reshape(models, SCORE_CELLS)
        return np.hstack((scores, random.multinomial(events, CATEGORY_SHARES)))

    def events_in(self, slot: int) -> float:
        """The mean number of events in a slot; slot 0 begins at midnight."""
        rhythm = 1 + RHYTHM * math.sin(2 * math.pi * (slot + 0.5) / SLOTS_PER_DAY)
        return self.events_per_hour * SLOT_SECONDS / HOUR * rhythm


@lru_cache
def tilt_for(psi: float) -> float:
    """The θ at which scores of density ∝ e^(θx) on [0, 1] have this PSI against uniform ones, in tenths."""
    low, high = 0.0, 50.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _psi_of_tilt(middle) < psi else (low, middle)
    return high


def _psi_of_tilt(tilt: float) -> float:
    """Σ (q − p) ln(q / p) over the tenths of [0, 1]."""
    if tilt == 0:
        return 0.0
    q = np.diff(np.expm1(tilt * np.linspace(0, 1, 11))) / math.expm1(tilt)
    return float(((q - 0.1) * np.log(q / 0.1)).sum())


def _tilted(quantiles: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
    """The scores of density ∝ e^(θx) at these quantiles."""
    return np.log1p(quantiles * math.expm1(tilt)) / tilt
