"""Panes: exact numbers for any time, and the rules for what comes late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.domain.rows import PaneRules, sort_rows
from sentryml_statistics.time.panes import FINE_PER_COARSE, Lateness, PaneGrid, Resolution, micros_of

MINUTES = PaneGrid(60)
FINE, COARSE = Resolution.FINE, Resolution.COARSE
NOON = 1_795_435_200.0  # 2026-11-23T12:00:00Z, a border of coarse panes


@pytest.mark.parametrize("fine_seconds", [0.1, 0.25, 0.5, 1, 2, 60, 0.007])
@given(pane=st.integers(0, 10**8))
def test_panes_begin_where_they_say_for_any_length(fine_seconds: float, pane: int) -> None:
    grid = PaneGrid(fine_seconds)
    for resolution in Resolution:
        assert grid.pane_of(grid.start_of(pane, resolution), resolution) == pane


@given(st.floats(0, 4e9), st.sampled_from([0.1, 0.5, 1, 60]))
def test_a_time_lies_in_its_panes_and_the_fine_one_in_the_coarse_one(at: float, fine_seconds: float) -> None:
    grid = PaneGrid(fine_seconds)
    fine, coarse = grid.pane_of(at, FINE), grid.pane_of(at, COARSE)
    assert fine // FINE_PER_COARSE == coarse
    assert grid.start_of(fine, FINE) <= at + 1e-6
    assert at < grid.start_of(fine + 1, FINE) + 1e-6


def test_start_is_inclusive_and_end_exclusive() -> None:
    pane = MINUTES.pane_of(NOON, FINE)
    assert MINUTES.pane_of(NOON - 0.000_001, FINE) == pane - 1
    assert MINUTES.pane_of(NOON + 59.999_999, FINE) == pane
    assert MINUTES.pane_of(NOON + 60, FINE) == pane + 1


@pytest.mark.parametrize("fine_seconds", [0, -1, 0.0001, 1 / 3])
def test_a_pane_that_is_no_whole_number_of_milliseconds_is_refused(fine_seconds: float) -> None:
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        PaneGrid(fine_seconds)


def admits(grid: PaneGrid, event: float, record: float) -> bool:
    return bool(grid.admits_fine(micros_of([event]), micros_of([record]))[0])


def test_an_event_older_than_the_fine_panes_counts_in_the_coarse_one_alone() -> None:
    assert admits(MINUTES, NOON - 7200, NOON)
    assert not admits(MINUTES, NOON - 7200.001, NOON)
    assert admits(MINUTES, NOON + 10, NOON)


@given(st.floats(NOON, NOON + 100_000), st.floats(0, 10_000), st.sampled_from([0.5, 1, 60]))
def test_every_event_of_a_live_pane_was_admitted_to_it(now: float, age: float, fine_seconds: float) -> None:
    grid = PaneGrid(fine_seconds)
    event = now - age
    if grid.pane_of(event, FINE) >= grid.first_live_fine(now):
        assert admits(grid, event, now)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (NOON, Lateness.COUNTED),
        (NOON + 300, Lateness.COUNTED),
        (NOON + 300.5, Lateness.FUTURE),
        (NOON - 86_400, Lateness.COUNTED),
        (NOON - 86_400.5, Lateness.LATE),
    ],
)
def test_late_and_future_are_judged_by_the_record(event: float, expected: Lateness) -> None:
    rules = PaneRules(MINUTES, longest_window_seconds=86_400, future_limit_seconds=300)
    found = sort_rows([EventRow("model", "late", timestamp=event)], [NOON], rules)
    counts = {Lateness.COUNTED: found.counted, Lateness.LATE: found.late, Lateness.FUTURE: found.future}
    assert counts == {each: int(each is expected) for each in Lateness}


def test_panes_are_kept_as_long_as_a_window_can_look_back() -> None:
    assert MINUTES.start_of(MINUTES.first_kept(COARSE, NOON, 86_400), COARSE) == NOON - 86_400 - 3600
    assert MINUTES.first_kept(FINE, NOON, 86_400) < MINUTES.first_live_fine(NOON)
