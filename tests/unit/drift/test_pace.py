"""Silence by a model's own pace: none in a year of streams of all kinds, and a stop is found when the rule says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.real.streams import _times
from sentryml_local.demo.flights import find_data, read_flights
from sentryml_statistics.time.pace import LEAST_GAP, SLACK, History, Pace, pace_of

DAY, WEEK, YEAR = 1440, 7 * 1440, 365 * 1440
REACH, EVERY = 8 * DAY, 5
NONE = np.empty(0, np.int64)

Panes = NDArray[np.int64]


def history(active: Panes, now: int, loaded: Panes = NONE) -> History:
    """What is known at `now` of a model of which all panes are given, with the default windows."""
    since = -(-(now - REACH) // 60) * 60
    first = int(min(active[0], loaded[0] if loaded.size else active[0]))
    until = int(np.searchsorted(active, now))
    known = active[int(np.searchsorted(active, since)) : until]
    return History(known, loaded[loaded >= since], max(since, first), first >= since, now)


def silences(active: Panes) -> list[tuple[int, int]]:
    """Where the stream is taken for silent: since which pane, and after how many panes. Long gaps are looked at every
    quarter of an hour at first, then every two hours."""
    found = []
    for place in np.flatnonzero(np.diff(active) > LEAST_GAP).tolist():
        last, following = int(active[place]), int(active[place + 1])
        now = last + 1 + LEAST_GAP
        while now <= following:
            if pace_of(history(active, now), WEEK, EVERY) is Pace.SILENT:
                found.append((last, now - last - 1))
                break
            now += EVERY if now - last < 60 else 15 if now - last < 240 else 120
    return found


def found_after(active: Panes, stop: int) -> int | None:
    """After how many panes a stream that stops at a pane is silent; None if it is not before its panes are gone."""
    active = active[active < stop]
    last = int(active[-1])
    times = range(last + 1, last + REACH - 60, EVERY)
    return next(
        (now - last - 1 for now in times if pace_of(history(active, now), WEEK, EVERY) is Pace.SILENT),
        None,
    )


def poisson(per_pane: NDArray[np.float64], seed: int = 1) -> Panes:
    return np.flatnonzero(np.random.default_rng(seed).poisson(per_pane) > 0)


MINUTES = np.arange(YEAR)
WEEKDAY, HOUR = MINUTES // DAY % 7, MINUTES % DAY / 60
OFFICE_HOURS = (WEEKDAY < 5) & (HOUR >= 8) & (HOUR < 18)


def nightly(days: range, seed: int = 1) -> Panes:
    """Batches of 40 minutes with pauses, which begin between 2:00 and 2:20."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [day * DAY + 120 + rng.integers(0, 20) + np.flatnonzero(rng.random(40) < 0.7) for day in days]
    )


def test_a_model_of_1000_predictions_an_hour_is_silent_after_a_quarter_of_an_hour() -> None:
    stream = poisson(np.full(60 * DAY, 1000 / 60))
    assert silences(stream) == []
    for stop in (20 * DAY, 33 * DAY + 777, 50 * DAY + 1111):
        after = found_after(stream, stop)
        assert after is not None
        assert LEAST_GAP <= after < LEAST_GAP + EVERY


def test_a_model_of_30_predictions_a_day_is_silent_after_what_chance_explains() -> None:
    stream = poisson(np.full(YEAR, 30 / DAY))
    assert silences(stream) == []
    for stop in (40 * DAY, 100 * DAY + 777, 300 * DAY + 111):
        after = found_after(stream, stop)
        assert after is not None
        assert 8 * 60 < after < 20 * 60


def test_office_hours_are_silent_neither_at_night_nor_at_weekends() -> None:
    for per_hour in (1000, 20):
        stream = poisson(np.where(OFFICE_HOURS, per_hour / 60, 0.0))
        assert silences(stream) == []
        tuesday_noon = 15 * WEEK + DAY + 12 * 60
        after = found_after(stream, tuesday_noon)
        assert after is not None
        assert after <= (20 if per_hour == 1000 else 180)
    friday_evening = 15 * WEEK + 4 * DAY + 18 * 60
    monday_morning = 16 * WEEK + 8 * 60
    after = found_after(poisson(np.where(OFFICE_HOURS, 1000 / 60, 0.0)), friday_evening)
    assert after is not None
    assert 0 < friday_evening + after - monday_morning <= SLACK + 30, "on Monday, when it would have begun again"


def test_daylight_saving_makes_no_silence() -> None:
    """Office hours of Berlin with a start and an end that vary by ten minutes, through both changes of 2026."""
    zone, rng, stream = ZoneInfo("Europe/Berlin"), np.random.default_rng(3), []
    epoch = datetime(2026, 3, 1, tzinfo=UTC)
    for day in range(260):
        date = (epoch + timedelta(days=day)).astimezone(zone)
        if date.weekday() < 5:
            opens, closes = (date.replace(hour=hour, minute=0).astimezone(UTC) for hour in (8, 18))
            begin, end = (
                round((at - epoch) / timedelta(minutes=1)) + int(rng.integers(-5, 6)) for at in (opens, closes)
            )
            stream.append(begin + np.flatnonzero(rng.random(end - begin) < 0.95))
    assert silences(np.concatenate(stream)) == []


def test_batches_are_silent_only_where_one_is_missing() -> None:
    every_night = nightly(range(365))
    assert silences(every_night) == []
    after = found_after(every_night, 100 * DAY)
    assert after is not None
    assert 1.45 * DAY < after < 1.55 * DAY
    weekdays = nightly(range(365))
    weekdays = weekdays[weekdays // DAY % 7 < 5]
    assert silences(weekdays) == []
    after = found_after(weekdays, 15 * WEEK + 2 * DAY)
    assert after is not None
    assert after < 1.55 * DAY
    hourly = np.concatenate([hour * 60 + 5 + np.arange(2) for hour in range(60 * 24)])
    assert silences(hourly) == []
    after = found_after(hourly, 40 * DAY)
    assert after is not None
    assert after < 1.7 * 60


def test_batches_that_are_further_apart_than_panes_are_kept_are_never_silent() -> None:
    for days in (7, 30):
        stream = np.concatenate([day * DAY + 120 + np.arange(300) for day in range(0, 365, days)])
        assert silences(stream) == []
        assert found_after(stream, 200 * DAY) is None


def test_a_year_of_flights_is_silent_in_the_blizzard_alone() -> None:
    """From New York, in local time: every night is without flights, and on 8 February 2013 the airports closed."""
    flights = np.unique(_times(read_flights(find_data(), tuple(range(1, 13)))) // 60).astype(np.int64)
    ((since, after),) = silences(flights)
    assert datetime.fromtimestamp(since * 60, UTC).date().isoformat() == "2013-02-08"
    assert after <= 60
    noon = round(datetime(2013, 6, 5, 12, tzinfo=UTC).timestamp() / 60)
    found = found_after(flights, noon)
    assert found is not None
    assert found <= 60


def test_a_new_model_is_judged_after_a_day_if_it_has_sent_around_the_clock_else_after_a_week() -> None:
    always = poisson(np.full(20 * DAY, 1000 / 60))
    assert found_after(always, 120) is None, "two hours old"
    after = found_after(always, DAY + 60)
    assert after is not None
    assert after < LEAST_GAP + 2 * EVERY
    office = poisson(np.where(OFFICE_HOURS, 1000 / 60, 0.0)[: 20 * DAY])
    assert silences(office) == [], "neither in the first night nor at the first weekend"
    assert found_after(office, 3 * DAY + 12 * 60) is None
    after = found_after(office, WEEK + DAY + 12 * 60)
    assert after is not None
    assert after < LEAST_GAP + 2 * EVERY


def test_history_that_was_loaded_counts_as_time_in_which_the_model_sent() -> None:
    """Eight days of events in a few minutes, then live ones for an hour."""
    now = 100 * DAY + 14 * 60
    loaded = np.arange(now - REACH, now)
    live = np.arange(now, now + 61)
    paces = [
        pace_of(history(live, now + 61 + gap, loaded), WEEK, EVERY) for gap in (LEAST_GAP - 1, LEAST_GAP, 2 * LEAST_GAP)
    ]
    assert paces == [Pace.USUAL, Pace.SILENT, Pace.SILENT]
    assert pace_of(history(live[:40], now + 60, loaded), WEEK, EVERY) is Pace.UNKNOWN, "it may be a batch"


def test_batches_whose_events_are_spread_over_the_day_before_are_batches() -> None:
    """What lies in the loaded past looks steady; what came in since does not."""
    loaded, batches = np.arange(100 * DAY, 108 * DAY), [108 * DAY + day * DAY + 120 + np.arange(40) for day in range(6)]
    for number in range(1, 6):
        active = np.concatenate(batches[:number])
        for now in range(int(active[-1]) + 1, int(batches[number][0]), 60):
            assert pace_of(history(active, now, loaded), WEEK, EVERY) is not Pace.SILENT


def test_bursts_prove_no_more_than_one_prediction_each() -> None:
    """25 predictions in a minute, once an hour by chance."""
    assert silences(poisson(np.full(YEAR // 4, 1 / 60))) == []


def test_after_a_real_outage_the_same_time_next_week_is_forgiving_and_others_are_not() -> None:
    stream = poisson(np.full(30 * DAY, 1000 / 60))
    outage = (stream < 15 * DAY) | (stream >= 15 * DAY + 4 * 60)
    stream = stream[outage]
    same, other = found_after(stream, 15 * DAY + WEEK + 60), found_after(stream, 15 * DAY + WEEK + 12 * 60)
    assert same is not None
    assert other is not None
    assert other < LEAST_GAP + 2 * EVERY <= 4 * 60 < same


@pytest.mark.parametrize("every", [5, 60])
def test_three_evaluations_are_waited_for(every: int) -> None:
    stream = poisson(np.full(10 * DAY, 1000 / 60))
    last = int(stream[-1])
    gap = max(LEAST_GAP, 3 * every)
    assert pace_of(history(stream, last + gap), WEEK, every) is Pace.USUAL
    assert pace_of(history(stream, last + gap + 5), WEEK, every) is Pace.SILENT


@given(st.lists(st.integers(0, 12 * DAY), min_size=1, max_size=60), st.integers(1, 9 * DAY), st.integers(1, 300))
def test_a_short_gap_is_usual_whatever_the_history(panes: list[int], gap: int, every: int) -> None:
    active = np.unique(panes)
    now = int(active[-1]) + 1 + gap
    known = history(active, now)
    pace = pace_of(known, WEEK, every)
    if known.active.size and gap < max(LEAST_GAP, 3 * every):
        assert pace is Pace.USUAL
    if not known.active.size:
        assert pace is Pace.UNKNOWN
