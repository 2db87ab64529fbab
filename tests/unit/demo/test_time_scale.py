"""Days and seconds of the story map onto each other, and the monitor shrinks with them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from sentryml_common.contracts.monitor import DAY, MonitorSettings
from sentryml_local.demo.time_scale import (
    DAYS_OF_HISTORY,
    REAL_MONITOR,
    SECONDS_PER_DAY,
    Story,
    plan_story,
    scale_monitor,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
APRIL = date(2013, 4, 1)


def a_story(days: int = 61) -> Story:
    return Story(int(NOON.timestamp()), APRIL, days)


@pytest.mark.parametrize(
    ("now", "start"),
    [
        (NOON, NOON + timedelta(seconds=1)),
        (NOON + timedelta(microseconds=1), NOON + timedelta(seconds=2)),
        (NOON + timedelta(milliseconds=999), NOON + timedelta(seconds=2)),
    ],
)
def test_the_curtain_rises_with_a_whole_second_at_least_a_second_away(now: datetime, start: datetime) -> None:
    story = plan_story(now, APRIL, 61)
    assert story.curtain == start.timestamp()
    assert story.date_of(story.day_before(start)) == date(2013, 4, 12)


def test_history_is_young_enough_for_fine_panes_and_leaves_time_before_the_first_evaluation() -> None:
    monitor = MonitorSettings.model_validate(scale_monitor(REAL_MONITOR))
    assert DAYS_OF_HISTORY * SECONDS_PER_DAY < 60
    first = monitor.min_baseline_coverage * monitor.baseline_seconds + monitor.current_seconds
    assert first - DAYS_OF_HISTORY * SECONDS_PER_DAY >= 5


def test_a_moment_of_a_day_is_the_same_part_of_its_second() -> None:
    story = a_story()
    assert story.time_of(0, 0.0) == story.start
    assert story.time_of(50, 0.75) == story.start + 50.75
    assert story.end == story.start + 61


# seconds:  0           1           2           3
#           |--1 April--|--2 April--|--3 April--|
@pytest.mark.parametrize(
    ("seconds", "day"), [(0.0, -1), (0.999, -1), (1.0, 0), (1.999, 0), (2.0, 1), (50.999_999_9, 50), (61.0, 60)]
)
def test_a_window_that_ends_at_a_time_has_this_day_as_its_last(seconds: float, day: int) -> None:
    assert a_story().day_before(NOON + timedelta(seconds=seconds)) == day


def test_a_day_number_is_a_calendar_date() -> None:
    story = a_story()
    assert story.date_of(0) == APRIL
    assert story.date_of(50) == date(2013, 5, 21)
    assert story.date_of(60) == date(2013, 5, 31)


def test_the_monitors_times_shrink_a_day_to_a_second() -> None:
    assert scale_monitor(REAL_MONITOR) == {
        "baseline_seconds": 28.0,
        "current_seconds": 3.0,
        "every_seconds": 1.0,
        "resolve_after_seconds": 0.3,
        "reopen_seconds": 0.75,
        "latch_seconds": 1.0,
        "close_after_seconds": 7.0,
        "season_seconds": 7.0,
    }


def test_scaling_keeps_what_a_person_has_set() -> None:
    real = MonitorSettings(resolve_after_seconds=2 * DAY, reopen_seconds=0.0)
    scaled = scale_monitor(real, seconds_per_day=10.0)
    assert (scaled["resolve_after_seconds"], scaled["reopen_seconds"]) == (20.0, 0.0)
    assert scaled["baseline_seconds"] == 70.0


def test_a_scaled_monitor_is_a_valid_one_with_no_threshold_touched() -> None:
    default, scaled = MonitorSettings(), MonitorSettings(**scale_monitor(REAL_MONITOR))
    for name in ("warn", "critical", "resolve_below", "bins", "signals", "min_samples", "min_baseline_coverage"):
        assert getattr(scaled, name) == getattr(default, name)
    for name in ("confirm_warn", "confirm_critical", "confirm_deescalate", "confirm_resolve"):
        assert getattr(scaled, name) == getattr(default, name)
