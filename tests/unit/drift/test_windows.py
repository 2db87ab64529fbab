"""Windows: which panes are added up. Hours and minutes of one day; fine panes are minutes and live for two hours.

In the drawings a coarse pane (an hour) is ═══, fine panes (minutes) are ···.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_statistics.time.panes import FINE_PANES_KEPT, PaneGrid, Resolution
from sentryml_statistics.time.windows import WindowCover, cover, existed, windows_at

MINUTES, SECONDS = PaneGrid(60), PaneGrid(1)
MIDNIGHT = 1_795_392_000.0  # 2026-11-23T00:00:00Z
HOUR, DAY = 3600, 86_400


def at(clock: str) -> float:
    hours, minutes = clock.split(":")
    return MIDNIGHT + HOUR * int(hours) + 60 * float(minutes)


def clock(time: float) -> str:
    minutes = round((time - MIDNIGHT) / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def drawn(grid: PaneGrid, found: WindowCover) -> list[str]:
    """Each range of a cover as 'resolution from–to'."""
    return [
        f"{each.resolution.value} {clock(grid.start_of(each.first, each.resolution))}"
        f"–{clock(grid.start_of(each.end, each.resolution))}"
        for each in found.ranges
    ]


CASES = {
    # start and end on the hour:           7      8      9      10
    #                                      ╠══════╬══════╬══════╣
    "whole hours": ("7:00", "10:00", "10:00", ["coarse 7:00–10:00"]),
    # ragged and young at the end:         7      8      9  9:20
    #                                      ╠══════╬══════╣···┤
    "young end": ("7:00", "9:20", "9:20", ["coarse 7:00–9:00", "fine 9:00–9:20"]),
    # ragged at the start, too old for minutes (alive from 7:20): snaps inward
    #                                5:40 6      7      8      9  9:20
    #                                ┤    ╠══════╬══════╬══════╣···┤
    "old start": ("5:40", "9:20", "9:20", ["coarse 6:00–9:00", "fine 9:00–9:20"]),
    # ragged at the start, and young:      7:40 8      9  9:20
    #                                      ├····╬══════╣···┤
    "young start": ("7:40", "9:20", "9:20", ["fine 7:40–8:00", "coarse 8:00–9:00", "fine 9:00–9:20"]),
    # ragged at the end, too old (a baseline that ended long ago): snaps inward
    #                                      1      2      3  3:20
    #                                      ╠══════╬══════╣   ├
    "old end": ("1:00", "3:20", "9:20", ["coarse 1:00–3:00"]),
    # no whole hour inside:                8:30   9      9:20
    #                                      ├·············┤
    "no whole hour": ("8:30", "9:20", "9:20", ["fine 8:30–9:20"]),
    # no whole hour inside, older than what lives: the living rest
    #                                      6:30   7  7:20  7:50      9:20 (now)
    #                                      ├         ├·····┤
    "partly dead": ("6:30", "7:50", "9:20", ["fine 7:20–7:50"]),
    "wholly dead": ("3:10", "3:50", "9:20", []),
    # seconds at either end belong to no whole minute
    "inside minutes": ("8:10.5", "8:20.9", "9:20", ["fine 8:11–8:20"]),
    "less than a pane": ("8:10.2", "8:10.9", "9:20", []),
}


@pytest.mark.parametrize("name", CASES)
def test_window_is_covered_from_inside(name: str) -> None:
    start, end, now, expected = CASES[name]
    found = cover(MINUTES, at(start), at(end), at(now))
    assert drawn(MINUTES, found) == expected
    if expected:
        assert (
            f"{clock(found.start)}–{clock(found.end)}"
            == f"{expected[0].split()[1].split('–')[0]}–" + (expected[-1].split("–")[1])
        )
    else:
        assert found.start == found.end


@given(st.integers(0, 3 * DAY), st.integers(0, 2 * DAY), st.integers(0, DAY), st.sampled_from([0.5, 1, 60]))
def test_cover_is_adjacent_whole_living_and_inside(start: int, length: int, age: int, fine_seconds: float) -> None:
    grid = PaneGrid(fine_seconds)
    start_time, end_time = MIDNIGHT + start, MIDNIGHT + start + length
    now = end_time + age
    found = cover(grid, start_time, end_time, now)
    borders = [(grid.start_of(r.first, r.resolution), grid.start_of(r.end, r.resolution)) for r in found.ranges]
    assert all(begin < stop for begin, stop in borders)
    assert all(left[1] == right[0] for left, right in pairwise(borders))
    if borders:
        assert start_time <= found.start == borders[0][0]
        assert borders[-1][1] == found.end <= end_time
    for each in found.ranges:
        if each.resolution is Resolution.FINE:
            assert grid.start_of(each.first, Resolution.FINE) >= now - FINE_PANES_KEPT * grid.fine_seconds


def test_baseline_is_the_window_just_before_the_current_one() -> None:
    # 23rd 00:00 of the week before ───── baseline 7 d ─────┼── current 1 d ──┤ 23rd 12:20
    monitor = MonitorSettings()
    baseline, current = windows_at(MINUTES, monitor, at("12:20"))
    assert drawn(MINUTES, baseline.cover) == ["coarse -179:00–-12:00"]
    assert drawn(MINUTES, current.cover) == ["coarse -11:00–12:00", "fine 12:00–12:20"]


def test_windows_shorter_than_a_coarse_pane_are_all_fine_panes() -> None:
    # The demo: a day of data is a second.  ├─ 28 s ─┼ 3 s ┤
    monitor = MonitorSettings(baseline_seconds=28, current_seconds=3, every_seconds=1)
    baseline, current = windows_at(SECONDS, monitor, MIDNIGHT + 100)
    assert (baseline.cover.start, baseline.cover.end) == (MIDNIGHT + 69, MIDNIGHT + 97)
    assert (current.cover.start, current.cover.end) == (MIDNIGHT + 97, MIDNIGHT + 100)
    assert {each.resolution for plan in (baseline, current) for each in plan.cover.ranges} == {Resolution.FINE}


def test_windows_of_half_a_second_panes_do_not_drift() -> None:
    monitor = MonitorSettings(baseline_seconds=14, current_seconds=1.5, every_seconds=1)
    for step in range(1000):
        evaluated_at = MIDNIGHT + 0.5 * step
        baseline, current = windows_at(PaneGrid(0.5), monitor, evaluated_at)
        assert (baseline.cover.start, baseline.cover.end) == (evaluated_at - 15.5, evaluated_at - 1.5)
        assert (current.cover.start, current.cover.end) == (evaluated_at - 1.5, evaluated_at)


@pytest.mark.parametrize(
    ("first_seen", "part"),
    [
        (None, 0.0),
        (at("12:00") - 8 * DAY, 1.0),
        (at("12:00") - 0.25 * DAY, 0.25),
        (at("13:00"), 0.0),
    ],
)
def test_a_model_existed_in_the_part_of_a_window_since_it_was_first_seen(first_seen: float | None, part: float) -> None:
    assert existed((at("12:00") - DAY, at("12:00")), first_seen) == part


def test_an_evaluation_made_late_uses_only_panes_that_still_live() -> None:
    # due at 9:20, made at 11:30: minutes before 9:30 are gone, so the young end snaps to 9:00
    _, current = windows_at(MINUTES, MonitorSettings(), at("9:20"), now=at("11:30"))
    assert drawn(MINUTES, current.cover) == ["coarse -14:00–9:00"]
