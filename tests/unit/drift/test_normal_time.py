"""Normal time as arithmetic, and windows whose baseline is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalSpan, NormalTime
from sentryml_statistics.time.normal_time import as_of, is_normal, newest_normal, normal_seconds
from sentryml_statistics.time.panes import PaneGrid
from sentryml_statistics.time.windows import windows_at
from tests.unit.drift.test_windows import DAY, HOUR, MIDNIGHT, MINUTES, at, drawn


def moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def normal(*excluded: tuple[float, float | None], since: float | None = None, confirmed: float = 0.0) -> NormalSpan:
    intervals = tuple(
        ExcludedInterval(start=moment(start), confirmed_at=moment(start + confirmed), end=end and moment(end))
        for start, end in excluded
    )
    return NormalSpan(since=None if since is None else moment(since), excluded=intervals)


def test_without_excluded_intervals_it_is_the_time_just_before() -> None:
    assert newest_normal(normal(), 1000, 300) == ((700, 1000),)


def test_excluded_time_is_stepped_over_and_made_up_for_with_older_time() -> None:
    #  400 ── 500 ╳╳╳ 600 ──── 800 ╳╳╳ 900 ── 1000
    assert newest_normal(normal((500, 600), (800, 900)), 1000, 400) == ((400, 500), (600, 800), (900, 1000))


def test_while_drift_lasts_the_baseline_is_held_before_it() -> None:
    held = normal((800, None))
    assert newest_normal(held, 1000, 300) == newest_normal(held, 10**6, 300) == ((500, 800),)


def test_there_is_no_more_than_since_normal_time_began() -> None:
    assert newest_normal(normal((800, 900), since=750), 1000, 400) == ((750, 800), (900, 1000))
    assert newest_normal(normal(since=1000), 1000, 400) == ()


def test_how_much_of_a_time_is_normal() -> None:
    spans = normal((500, 600), (800, None), since=100)
    assert normal_seconds(spans, 0, 1000) == 600
    assert normal_seconds(spans, 550, 700) == 100
    assert is_normal(spans, 600, 800)
    assert not is_normal(spans, 599, 601)
    assert not is_normal(spans, 50, 150)


def test_as_of_an_earlier_time_later_drift_is_not_known_and_lasting_drift_has_no_end() -> None:
    now = normal((500, 600), (800, 900), confirmed=50)
    known = NormalTime(revision=4, since=now.since, excluded=now.excluded)
    assert [as_of(known, time).excluded for time in (550, 551, 850, 851, 1000)] == [
        (),
        normal((500, None), confirmed=50).excluded,
        now.excluded[:1],
        normal((500, 600), (800, None), confirmed=50).excluded,
        now.excluded,
    ]
    assert as_of(known, 700).revision == 4


def test_before_a_new_normal_began_there_was_another() -> None:
    accepted = NormalTime(revision=1, since=moment(800))
    assert as_of(accepted, 900).since == moment(800)
    assert as_of(accepted, 700).since is None


intervals = st.lists(st.integers(0, 500), max_size=8, unique=True).map(sorted)


@given(intervals, st.booleans(), st.integers(0, 600), st.integers(1, 400))
def test_spans_are_the_newest_normal_seconds_one_by_one(edges: list[int], lasts: bool, end: int, seconds: int) -> None:
    pairs: list[tuple[float, float | None]] = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    if lasts and len(edges) % 2:
        pairs.append((edges[-1], None))
    spans = normal(*pairs, since=-50)
    good = [
        second
        for second in range(-50, end)
        if not any(start <= second < (10**9 if stop is None else stop) for start, stop in pairs)
    ]
    found = newest_normal(spans, end, seconds)
    assert [second for start, stop in found for second in range(int(start), int(stop))] == good[-seconds:]
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))


def test_a_baseline_is_covered_around_an_old_interval_by_whole_hours() -> None:
    # Fine panes of yesterday are gone: 9:20 to 11:40 snaps outward to 9:00 to 12:00.
    spans = normal((at("9:20") - DAY, at("11:40") - DAY), confirmed=4 * HOUR)
    monitor = MonitorSettings(baseline_seconds=26 * HOUR, current_seconds=HOUR, every_seconds=60)
    baseline, current = windows_at(MINUTES, monitor, at("12:00"), spans)
    assert drawn(MINUTES, baseline.cover) == ["coarse -17:00–-15:00", "coarse -12:00–11:00"]
    assert baseline.cover.gaps == ((at("9:00") - DAY, at("12:00") - DAY),)
    assert baseline.cover.end == at("11:00")
    assert current.cover.gaps == ()


@given(intervals, st.integers(0, 48 * 60), st.sampled_from([1.0, 60.0]))
def test_no_pane_of_a_cover_reaches_into_what_is_excluded(edges: list[int], minute: int, fine: float) -> None:
    grid = PaneGrid(fine)
    pairs = [
        (MIDNIGHT + 60.0 * start, MIDNIGHT + 60.0 * stop) for start, stop in zip(edges[::2], edges[1::2], strict=False)
    ]
    monitor = MonitorSettings(baseline_seconds=6 * HOUR, current_seconds=HOUR, every_seconds=60)
    baseline, _ = windows_at(grid, monitor, MIDNIGHT + 60.0 * minute, normal(*pairs))
    covered = 0.0
    for each in baseline.cover.ranges:
        start, end = grid.start_of(each.first, each.resolution), grid.start_of(each.end, each.resolution)
        covered += end - start
        assert not any(begin < end and start < stop for begin, stop in pairs)
    assert covered == baseline.cover.seconds


def test_a_held_baseline_of_minutes_outlives_the_fine_panes() -> None:
    # A baseline of half an hour, windows of ten minutes: drift since 9:00, confirmed at 9:10, still there a day later.
    spans = normal((at("9:00"), None), confirmed=600)
    monitor = MonitorSettings(baseline_seconds=1800, current_seconds=600, every_seconds=60)
    for when in ("9:10", "10:00", "12:00", "23:00"):
        baseline, _ = windows_at(MINUTES, monitor, at(when), spans)
        assert drawn(MINUTES, baseline.cover) == ["fine 8:30–9:00"]
