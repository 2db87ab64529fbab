"""Coverage: in how much of the baseline's normal time there were events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.time.coverage import coverage_of, fills_all_parts, parts_of, warm_up_seconds
from sentryml_statistics.time.normal_time import Span
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.windows import windows_at

DAY, HOUR = 86_400.0, 3600.0
WEEK = (0.0, 7 * DAY)


def coverage(times: list[float], spans: tuple[Span, ...] = (WEEK,), length: float = HOUR, **settings: float) -> float:
    starts = np.array(times, dtype=np.float64)
    return coverage_of(spans, MonitorSettings.model_validate(settings), starts, starts + length)


def hourly(start: float, end: float) -> list[float]:
    return list(np.arange(start, end, HOUR))


def test_events_all_the_time_cover_all() -> None:
    assert coverage(hourly(*WEEK)) == 1.0


def test_no_event_covers_nothing() -> None:
    assert coverage([]) == 0.0


def test_one_stray_old_event_covers_one_part_and_not_all_the_time_since() -> None:
    assert coverage([0.0, *hourly(7 * DAY - HOUR, 7 * DAY)]) == pytest.approx(2 / 7)


def test_a_nightly_batch_covers_each_day() -> None:
    assert coverage([day * DAY + 2 * HOUR for day in range(7)]) == 1.0


def test_days_without_events_are_not_covered() -> None:
    assert coverage(hourly(0, 5 * DAY)) == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("baseline", "current", "parts"), [(7, 1, 7), (7, 7, 1), (30, 1, 10), (7, 0.5, 10), (1, 0.6, 1)]
)
def test_parts_are_as_many_as_current_windows_fit_at_most_ten(baseline: float, current: float, parts: int) -> None:
    assert parts_of(MonitorSettings(baseline_seconds=baseline * DAY, current_seconds=current * DAY)) == parts


def test_normal_time_that_is_shorter_than_asked_for_covers_less() -> None:
    assert coverage(hourly(3 * DAY, 7 * DAY), spans=((3 * DAY, 7 * DAY),)) == pytest.approx(4 / 7)


def test_time_between_the_spans_is_no_part_of_it() -> None:
    # three days, drift for a week, four days
    spans = ((0.0, 3 * DAY), (10 * DAY, 14 * DAY))
    assert coverage([*hourly(0, 3 * DAY), *hourly(10 * DAY, 14 * DAY)], spans) == 1.0
    assert coverage(hourly(10 * DAY, 14 * DAY), spans) == pytest.approx(4 / 7)


def test_a_pane_longer_than_a_part_covers_all_parts_inside_it() -> None:
    settings = {"baseline_seconds": 10 * 600.0, "current_seconds": 600.0, "every_seconds": 60.0}
    assert coverage([1800.0], spans=((0.0, 6000.0),), **settings) == pytest.approx(0.6)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3600), st.integers(0, 3))
def test_where_all_panes_have_events_that_alone_may_say_so(longer: int, hours: int, offset: int, missing: int) -> None:
    """In steps of half an hour; `missing` panes have no events."""
    current = hours * HOUR / 2
    monitor = MonitorSettings(baseline_seconds=current + longer * HOUR / 2, current_seconds=current)
    grid = PaneGrid(60.0)
    plan, _ = windows_at(grid, monitor, 1_795_424_400.0 + offset)
    panes = [(each.resolution, pane) for each in plan.cover.ranges for pane in range(each.first, each.end)]
    kept = panes[missing:]
    starts = np.array([grid.start_of(pane, resolution) for resolution, pane in kept])
    lengths = np.array([HOUR if resolution is Resolution.COARSE else 60.0 for resolution, _ in kept])
    if fills_all_parts(grid, plan, monitor, len(kept)):
        assert coverage_of(plan.spans, monitor, starts, starts + lengths) == 1.0
        assert missing == 0


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize(("baseline", "current"), [(7 * DAY, DAY), (40 * HOUR, 4 * HOUR), (5 * HOUR, 5 * HOUR)])
def test_a_model_that_sends_all_the_time_is_compared_after_its_warm_up(
    baseline: float, current: float, share: float
) -> None:
    settings = {"baseline_seconds": baseline, "current_seconds": current, "min_baseline_coverage": share}
    lasts = warm_up_seconds(MonitorSettings.model_validate(settings))
    for late, compared in ((-60.0, False), (60.0, True)):
        end = lasts + late - current  # of the baseline; the first event is at 0
        minutes = list(np.arange(0.0, end, 60.0))
        found = coverage(minutes, ((end - baseline, end),), 60.0, **settings)
        assert (found >= share) is compared, f"{found} {late:+} s from the end of the warm-up"
