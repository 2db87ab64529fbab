"""When a route holds: weeks, windows, and the two days a year on which clocks change.

`[` is where a hold begins, `)` where it ends; times are local.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_notifier.domain.holding.schedule import LONGEST, HoldSchedule, Hours, Window, free_minutes, moment_of
from sentryml_notifier.domain.holding.written import DAYS, read_hours, read_window

BERLIN = "Europe/Berlin"
NIGHTS_AND_WEEKENDS = ("mon-fri 18:00-08:00", "sat,sun 08:00-08:00")


def schedule(*hours: str, windows: tuple[str, ...] = (), zone: str = BERLIN) -> HoldSchedule:
    return HoldSchedule(zone, tuple(map(read_hours, hours)), tuple(map(read_window, windows)))


def local(text: str, zone: str = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def until(holds: HoldSchedule, at: datetime, model_id: str = "fraud-1") -> str | None:
    found = holds.held_until(model_id, at.astimezone(UTC))
    return found.astimezone(ZoneInfo(holds.time_zone)).strftime("%a %d %H:%M") if found else None


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-11-25T17:59", None),
        ("2026-11-25T18:00", "Thu 26 08:00"),
        ("2026-11-25T23:59", "Thu 26 08:00"),
        ("2026-11-26T00:00", "Thu 26 08:00"),
        ("2026-11-26T07:59", "Thu 26 08:00"),
        ("2026-11-26T08:00", None),
        ("2026-11-27T18:00", "Mon 30 08:00"),  # Friday's night, then the weekend
        ("2026-11-29T12:00", "Mon 30 08:00"),
        ("2026-11-30T03:00", "Mon 30 08:00"),
        ("2026-11-30T08:00", None),
    ],
)
def test_nights_and_weekends(at: str, ends: str | None) -> None:
    assert until(schedule(*NIGHTS_AND_WEEKENDS), local(at)) == ends


@pytest.mark.parametrize(
    ("at", "model_id", "ends"),
    [
        ("2026-12-24T17:59", "fraud-1", None),
        ("2026-12-24T18:00", "fraud-1", "Sun 27 08:00"),
        ("2026-12-24T18:00", "risk", None),
        ("2026-12-31T20:00", "fraud-1", "Sun 03 08:00"),
        ("2026-12-17T20:00", "fraud-1", None),
    ],
)
def test_a_window_for_some_models_that_comes_again(at: str, model_id: str, ends: str | None) -> None:
    holds = schedule(windows=("2026-12-24 18:00 to 2026-12-27 08:00 every 7 days for fraud-*",))
    assert until(holds, local(at), model_id) == ends


def test_what_touches_is_one_hold() -> None:
    """[22:00 ... 06:00) and [06:00 ... 09:30) of the same day."""
    holds = schedule("daily 22:00-06:00", windows=("2026-11-26 06:00 to 2026-11-26 09:30",))
    assert until(holds, local("2026-11-25T23:00")) == "Thu 26 09:30"
    assert until(holds, local("2026-11-26T23:00")) == "Fri 27 06:00"


def test_a_night_is_an_hour_shorter_or_longer_where_clocks_change() -> None:
    """Forward on 29 March 2026 at 02:00, back on 25 October 2026 at 03:00."""
    night = schedule("daily 22:00-06:00")
    for begins, hours in (("2026-03-28T22:00", 7), ("2026-03-27T22:00", 8), ("2026-10-24T22:00", 9)):
        at = local(begins).astimezone(UTC)
        ends = night.held_until("m", at)
        assert ends is not None
        assert ends - at == timedelta(hours=hours)


def test_a_time_that_does_not_exist_is_the_moment_of_the_change() -> None:
    """02:30 on 29 March: clocks go from 02:00 to 03:00."""
    change, never = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime.fromisoformat("2026-03-29T02:30")
    assert moment_of(never, ZoneInfo(BERLIN)) == change
    assert moment_of(never, ZoneInfo(BERLIN), second=True) == change
    holds = schedule("daily 02:30-05:00")
    assert holds.held_until("m", change - timedelta(seconds=1)) is None
    assert until(holds, change) == "Sun 29 05:00"
    none = schedule("daily 02:15-02:45")
    assert none.held_until("m", change) is None, "a hold that lies in the gap is none"


def test_of_a_time_that_comes_twice_a_hold_takes_both() -> None:
    """02:30 on 25 October comes at 00:30 and at 01:30 UTC: `[first 02:30 ... second 02:45)`."""
    holds = schedule("daily 02:30-02:45")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert holds.held_until("m", first) == first + timedelta(minutes=75)
    assert holds.held_until("m", first + timedelta(minutes=20)) == first + timedelta(minutes=75)
    assert holds.held_until("m", first - timedelta(minutes=1)) is None


hours = st.builds(
    Hours,
    st.sets(st.integers(0, 6), min_size=1).map(frozenset),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60),
)
YEAR = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01")
begins = st.datetimes(*YEAR).map(lambda at: at.replace(second=0, microsecond=0))
windows = st.builds(
    lambda start, minutes, every: Window(start, start + timedelta(minutes=minutes), every),
    begins,
    st.integers(1, 3 * 24 * 60),
    st.none() | st.integers(4, 30),
)
schedules = st.builds(
    HoldSchedule,
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"]),
    st.lists(hours, max_size=3).map(tuple),
    st.lists(windows, max_size=2).map(tuple),
)
moments = st.datetimes(*YEAR).map(lambda at: at.replace(tzinfo=UTC))


@given(schedules, moments, st.floats(0, 0.999))
def test_a_hold_holds_to_its_end_and_no_longer(holds: HoldSchedule, at: datetime, part: float) -> None:
    ends = holds.held_until("m", at)
    if ends is None:
        return
    assert at < ends <= at + LONGEST
    assert holds.held_until("m", at + (ends - at) * part) == ends or ends == at + LONGEST
    if ends < at + LONGEST:
        assert holds.held_until("m", ends) is None


@given(schedules, moments)
def test_away_from_changes_of_the_clock_it_is_what_the_clock_on_the_wall_says(
    holds: HoldSchedule, at: datetime
) -> None:
    zone = ZoneInfo(holds.time_zone)
    week = [(at + timedelta(days=day)).astimezone(zone).utcoffset() for day in range(-4, 5)]
    if len(set(week)) > 1:
        return
    wall = at.astimezone(zone).replace(tzinfo=None)
    minute = wall.weekday() * 1440 + wall.hour * 60 + wall.minute
    by_hours = any(
        (minute - (day * 1440 + each.start)) % 10_080 < each.lasts for each in holds.hours for day in each.days
    )
    by_windows = any(
        window.begins + timedelta(days=number * (window.every_days or 0))
        <= wall
        < window.ends + timedelta(days=number * (window.every_days or 0))
        for window in holds.windows
        for number in (range(-1, 200) if window.every_days else [0])
        if number >= 0
    )
    assert (holds.held_until("m", at) is not None) == (by_hours or by_windows)


@given(st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe"]), moments)
def test_every_moment_is_that_of_its_local_time(zone_name: str, at: datetime) -> None:
    zone = ZoneInfo(zone_name)
    on_the_wall = at.astimezone(zone)
    assert moment_of(on_the_wall.replace(tzinfo=None, fold=0), zone, second=bool(on_the_wall.fold)) == at


def test_free_minutes_of_a_week() -> None:
    assert free_minutes([read_hours("daily 00:00-24:00")]) == 0
    assert free_minutes([read_hours("mon-fri 18:00-08:00"), read_hours("sat,sun 08:00-08:00")]) == 5 * 600
    assert free_minutes([read_hours("fri-mon 12:00-12:00")]) == 3 * 1440


def test_days_are_written_in_several_ways() -> None:
    assert read_hours("FRI-mon 9:00-10:00").days == {4, 5, 6, 0}
    assert read_hours("sat 22:00-06:00").lasts == 480
    assert [read_hours(f"{day} 00:00-24:00").days for day in DAYS] == [{number} for number in range(7)]


@pytest.mark.parametrize(
    "text",
    ["", "mon", "mon 8-9", "xyz 08:00-09:00", "mon 25:00-08:00", "mon 08:60-09:00", "mon,,tue 08:00-09:00", "m" * 500],
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"like|no day|no time"):
        read_hours(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tomorrow", "written like"),
        ("2026-02-30 10:00 to 2026-03-01 10:00", "no date"),
        ("2026-12-24 10:00 to 2026-12-24 10:00", "ends before"),
        ("2026-12-01 10:00 to 2027-01-24 10:00", "longer than 31 days"),
        ("2026-12-01 10:00 to 2026-12-08 10:00 every 7 days", "not over"),
        ("2026-12-01 10:00 to 2026-12-02 10:00 every 0 days", "not over"),
        ("2026-12-01 10:00 to 2026-12-02 10:00 for a/b", "written like"),
    ],
)
def test_what_is_no_window_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_window(text)
