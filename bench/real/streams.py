"""Five models over the flights from New York in 2013: what each would have predicted, flight by flight.

Their days differ as those of real models do, and nobody wrote down by how much: two depend on the weather, one on the
hour and the day of the week, two on the schedule alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentryml_common.contracts.monitor import DAY
from sentryml_local.demo.flights import find_data, read_flights
from sentryml_local.demo.predictions import FEATURES, probably_late

TRAINED_MONTHS, ALL_MONTHS = (1, 2, 3), tuple(range(1, 13))
WEATHER_ALONE = [name for name in FEATURES if name != "dep_delay"]
SCHEDULE = ["hour", "origin", "dest", "weekday", "carrier"]


class Kind(StrEnum):
    """What moves the predictions of a model."""

    WEEKLY = "weekly"
    STABLE = "stable"
    WEATHER = "weather"


@dataclass(frozen=True, slots=True)
class Events:
    """Predictions in the order of time: epoch seconds, scores (NaN: null), and labels as numbers of `names`."""

    times: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """What one model predicted in a year."""

    name: str
    kind: Kind
    events: Events


def read_streams() -> Iterator[Stream]:
    """Train the models on January to March, as the demo does, and predict every flight of the year."""
    flights = read_flights(find_data(), ALL_MONTHS)
    flights["weekday"] = pd.to_datetime(flights["date"]).dt.weekday
    trained = flights[flights["month"].isin(TRAINED_MONTHS)]
    times = _times(flights)
    yield _stream("expected delay", Kind.WEEKLY, times, *_expected_delay(flights, trained))
    yield _classifier("late, by delay and weather", flights, trained, times, FEATURES)
    yield _classifier("late, by weather alone", flights, trained, times, WEATHER_ALONE)
    for name, column in (("distance", "distance"), ("hour of departure", "hour")):
        values = flights[column].to_numpy(np.float64)
        yield _stream(name, Kind.STABLE, times, values, values > np.median(values))


def _times(flights: pd.DataFrame) -> NDArray[np.float64]:
    """The local time of departure, read as UTC: so a day is one of New York, and every day has 24 hours."""
    days = pd.to_datetime(flights["date"]).to_numpy("datetime64[D]").astype(np.int64)
    return np.round((days + flights["moment"].to_numpy()) * DAY)


def _expected_delay(flights: pd.DataFrame, trained: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Minutes by hour, route, weekday and carrier, and whether they are in the upper quarter of those it knows."""
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - takes a second

    known, features = trained["arr_delay"].notna(), _numbered(flights[SCHEDULE])
    with threadpool_limits(limits=1):  # more of them spin while they wait for a core that others use
        model = HistGradientBoostingRegressor(random_state=0)
        model.fit(features.loc[trained.index][known], trained["arr_delay"][known])
        minutes = np.round(model.predict(features), 6)
    return minutes, minutes > np.quantile(minutes[trained.index], 0.75)


def _numbered(columns: pd.DataFrame) -> pd.DataFrame:
    return columns.apply(lambda column: pd.factorize(column, sort=True)[0])


def _classifier(
    name: str, flights: pd.DataFrame, trained: pd.DataFrame, times: NDArray[np.float64], features: list[str]
) -> Stream:
    scores = probably_late(flights, trained, features)
    return _stream(name, Kind.WEATHER, times, scores, scores >= 0.5)


def _stream(
    name: str, kind: Kind, times: NDArray[np.float64], scores: NDArray[np.float64], high: NDArray[np.bool_]
) -> Stream:
    order = np.argsort(times, kind="stable")
    events = Events(times[order], scores[order], high[order].astype(np.int64), ("low", "high"))
    return Stream(name, kind, events)
