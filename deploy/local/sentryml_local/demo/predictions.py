"""The model that is watched: a small classifier that says at departure whether a flight will arrive late.

It is trained once, on January to March, and never again, as models in production often are. Gradient boosting
was chosen because it predicts best of those compared (log loss on April to June 0.283; logistic regression 0.285, a
random forest 0.286), takes a second, and needs no filling in of unknown weather.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from sentryml_local.demo.flights import find_data, read_flights
from sentryml_local.demo.time_scale import FlightDay

FEATURES = ["dep_delay", "distance", "hour", "wind_speed", "precip", "visib"]
LATE_MINUTES = 15
LATE, ON_TIME = "late", "on time"
TRAINED_MONTHS, PLAYED_MONTHS = (1, 2, 3), (4, 5, 6)
LAST_DAY = date(2013, 6, 5)
"""Calm days after the thunderstorms of late May: time for incidents to resolve."""


def predict_days() -> list[FlightDay]:
    """Train on January to March and predict every flight from April to LAST_DAY; the result is always the same."""
    flights = read_flights(find_data(), TRAINED_MONTHS + PLAYED_MONTHS)
    played = flights[flights["month"].isin(PLAYED_MONTHS) & (flights["date"] <= LAST_DAY)]
    scores = probably_late(played, flights[flights["month"].isin(TRAINED_MONTHS)])
    return [_one_day(day, rows) for day, rows in played.assign(score=scores).groupby("date")]


def probably_late(
    flights: pd.DataFrame, trained: pd.DataFrame, features: Sequence[str] = FEATURES
) -> NDArray[np.float64]:
    """How probable it is of each flight that it arrives late, by a classifier that has seen others."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - takes a second

    arrived = trained[trained["arr_delay"].notna()]
    # One thread: more of them spin while they wait for a core, and the stack is starting on the same machine. It limits
    # the libraries that are loaded by now.
    with threadpool_limits(limits=1):
        # The seed decides only which tenth of the flights tells when to stop adding trees.
        classifier = HistGradientBoostingClassifier(random_state=0)
        classifier.fit(arrived[[*features]], arrived["arr_delay"] > LATE_MINUTES)
        scores: NDArray[np.float64] = classifier.predict_proba(flights[[*features]])[:, 1]
    return np.round(scores, 6)


def _one_day(day: date, rows: pd.DataFrame) -> FlightDay:
    scores = rows["score"].to_numpy()
    labels = tuple(LATE if score >= 0.5 else ON_TIME for score in scores)
    return FlightDay(day, rows["moment"].to_numpy(), tuple(rows["name"]), scores, labels)
