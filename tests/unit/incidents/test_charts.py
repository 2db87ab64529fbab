"""Charts: where things are, in per cent, and that nothing leaves the picture."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Level, Signal, Window
from sentryml_incidents.domain.psi_series import EvaluationPoint, Span
from sentryml_incidents.web.view.charts import (
    MOST_TIME_TICKS,
    Sparkline,
    between,
    histogram_chart,
    psi_chart,
    sparkline,
    time_ticks,
    volume_chart,
    windows_chart,
)
from tests.unit.incidents.builders import MONDAY, a_categorical_bin, a_signal, an_evaluation, at

STEP = timedelta(minutes=5)
DAY = Span(MONDAY, MONDAY + timedelta(days=1), STEP)


def point(minutes: float, psi: float | None, signal: Signal = Signal.SCORE) -> EvaluationPoint:
    level = Level.INSUFFICIENT_DATA if psi is None else Level.OK
    known = psi is not None
    return EvaluationPoint(
        MONDAY + timedelta(minutes=minutes), signal, level, psi,
        warn_at=0.1 if known else None, critical_at=0.2 if known else None, noise_floor=0.01 if known else None,
    )  # fmt: skip


def paths(points: list[EvaluationPoint]) -> dict[str, str]:
    return {line.kind: line.path for line in psi_chart(points, DAY).lines}


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.e-]+) ([\d.e-]+)", path)]


def test_lines_join_neighbours_and_break_where_nothing_was_judged() -> None:
    path = paths([point(0, 0.05), point(5, 0.05), point(10, None), point(15, 0.05), point(60, 0.05)])["score"]
    assert re.sub(r"[\d. ]+", "", path) == "MhLMhMh", "joined; broken by no data; broken by no points"


def test_a_single_evaluation_is_seen() -> None:
    assert paths([point(720, 0.05)])["score"].startswith("M50 ")
    assert paths([point(720, 0.05)])["score"].endswith("h0")


def test_thresholds_are_those_of_the_worst_signal_and_each_signal_has_a_line() -> None:
    found = paths([point(0, 0.05), point(0, 0.4, Signal.PREDICTION)])
    assert set(found) == {"noise", "warn", "critical", "score", "prediction"}
    (_, score), (_, prediction) = places(found["score"])[0], places(found["prediction"])[0]
    (_, warn), (_, critical) = places(found["warn"])[0], places(found["critical"])[0]
    assert prediction < critical < warn < score, "the higher the PSI, the nearer to the upper edge"


def test_without_anything_judged_the_chart_says_so() -> None:
    chart = psi_chart([point(0, None)], DAY)
    assert chart.is_empty
    assert chart.lines == ()
    assert psi_chart([], DAY).is_empty
    assert sparkline([], DAY, None) == Sparkline("", None)


def test_sparkline_shows_the_threshold_below_what_is_above_it() -> None:
    found = sparkline([(MONDAY, 0.4), (MONDAY + STEP, None), (MONDAY + 2 * STEP, 0.1)], DAY, 0.1)
    (_, high), (_, low) = places(found.path)
    assert found.threshold == low > high


def test_marks_outside_of_the_time_are_left_out() -> None:
    marks = [(MONDAY + timedelta(hours=hours), "opened", f"{hours}") for hours in (-1, 0, 12, 24, 25)]
    assert [(mark.place, mark.text) for mark in psi_chart([point(0, 0.1)], DAY, marks).marks] == [
        (0.0, "0"), (50.0, "12"), (100.0, "24"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 1440), st.none() | st.floats(0, 1e12), st.sampled_from(Signal)), max_size=30))
def test_nothing_leaves_the_picture(found: list[tuple[float, float | None, Signal]]) -> None:
    points = [point(minutes, psi, signal) for minutes, psi, signal in found]
    chart = psi_chart(points, DAY)
    drawn = [place for line in chart.lines for place in places(line.path)] + places(
        sparkline([(each.at, each.psi) for each in points], DAY, 0.1).path
    )
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in drawn)
    assert all(0 <= tick.place <= 100 for tick in (*chart.levels, *chart.times))
    assert "nan" not in "".join(line.path for line in chart.lines)
    assert chart.highest == max((psi for _, psi, _ in found if psi is not None), default=None)


@given(st.floats(1, 400 * 86_400), st.integers(0, 10**9))
def test_times_on_the_axis_are_few_and_round(seconds: float, offset: int) -> None:
    start = MONDAY + timedelta(seconds=offset)
    ticks = list(time_ticks(Span(start, start + timedelta(seconds=seconds), STEP)))
    assert len(ticks) <= MOST_TIME_TICKS + 1
    assert [tick.place for tick in ticks] == sorted(tick.place for tick in ticks)


def test_a_day_has_its_hours_and_midnight_its_date() -> None:
    monday = datetime(2026, 11, 23, tzinfo=MONDAY.tzinfo)
    span = Span(monday, monday + timedelta(days=1), STEP)
    assert [tick.label for tick in time_ticks(span)] == ["23 Nov", "06:00", "12:00", "18:00", "24 Nov"]


def test_histogram_has_a_bar_for_each_bin_and_names_what_moved() -> None:
    (found,) = an_evaluation("critical", at(0)).signals
    chart = histogram_chart(found)
    assert len(chart.bars) == len(found.bins)
    assert math.isclose(sum(bar.width for bar in chart.bars), 100, abs_tol=0.2)
    assert max(max(bar.baseline, bar.current) for bar in chart.bars) == 100
    assert any(bar.moved for bar in chart.bars)
    assert all("→" in bar.text for bar in chart.bars)


def test_categories_are_named_below_their_bars() -> None:
    bins = (a_categorical_bin("late", 0.2, 0.3), a_categorical_bin("on time, or nearly", 0.8, 0.7))
    chart = histogram_chart(a_signal("warn", signal=Signal.PREDICTION, bins=bins))
    assert [(tick.place, tick.label) for tick in chart.ends] == [(25.0, "late"), (75.0, "on time, or…")]
    many = tuple(a_categorical_bin(f"{number}", 0.1, 0.1) for number in range(10))
    assert histogram_chart(a_signal("warn", signal=Signal.PREDICTION, bins=many)).ends == ()


def test_windows_lie_on_one_axis() -> None:
    def window(start: float, end: float) -> Window:
        day = timedelta(days=1)
        return Window(start=MONDAY + start * day, end=MONDAY + end * day, coverage=1.0)

    chart = windows_chart(window(0, 7), window(7, 8))
    assert chart is not None
    assert (chart.baseline, chart.current) == ((0.0, 87.5), (87.5, 12.5))
    assert windows_chart(window(0, 0), window(0, 0)) is None


@pytest.mark.parametrize("counts", [[], [0, 0]])
def test_no_volume_is_no_chart(counts: list[int]) -> None:
    assert volume_chart([(MONDAY + number * STEP, count) for number, count in enumerate(counts)], STEP) is None


def test_volume_is_drawn_to_the_fullest_pane() -> None:
    chart = volume_chart([(MONDAY, 5), (MONDAY + STEP, 0), (MONDAY + 2 * STEP, 10), (MONDAY + 3 * STEP, 1)], STEP)
    assert chart is not None
    assert chart.bars == ((0.0, 25.0, 50.0), (50.0, 25.0, 100.0), (75.0, 25.0, 10.0))
    assert chart.most == 10


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_a_stretch_of_time_lies_within_the_life_of_the_model_and_has_some_length(
    since: datetime, until: datetime
) -> None:
    now = MONDAY + timedelta(days=3)
    span = between(MONDAY, now, (since, until), 288, STEP)
    assert MONDAY <= span.start < span.end <= now
    assert span.step >= STEP
    if MONDAY <= since <= until - STEP and until <= now:
        assert (span.start, span.end) == (since, until)
