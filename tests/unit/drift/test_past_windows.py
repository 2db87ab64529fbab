"""Past evaluations: what is left of past windows. Fine panes are minutes and live for two hours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.past_windows import LEAST_PART, PastPlan, Reach, plan_past_evaluation
from sentryml_statistics.time.plan import EvaluationPlan, plan_evaluation
from tests.unit.drift.test_windows import DAY, HOUR, MIDNIGHT, MINUTES, at, drawn

WEEK = Monitor(model_id="model", version=1)
SHORT = Monitor(model_id="model", version=1, baseline_seconds=4 * HOUR, current_seconds=HOUR)
EVER, LONG_AGO = 0.0, MIDNIGHT - 90 * DAY


def past_plan(when: str, now: str, settings: Monitor = WEEK, **changes: float) -> PastPlan | None:
    reach = {"now": at(now), "kept_from": LONG_AGO, "first_seen": EVER + LONG_AGO} | changes
    return plan_past_evaluation(MINUTES, settings, at(when), at(when) + 7, Reach(**reach))


@pytest.mark.parametrize(
    ("when", "now", "current", "exact"),
    [
        # minutes are alive:    … ═══ 12:00 ···┤ 12:20
        ("12:20", "12:20", ["coarse -11:00–12:00", "fine 12:00–12:20"], True),
        ("12:20", "13:40", ["coarse -11:00–12:00", "fine 12:00–12:20"], True),
        # from 14:00 on, minutes of 12:00 are gone; what is left is the whole hours
        ("12:20", "14:20", ["coarse -11:00–12:00"], False),
        # where a window begins and ends on the hour, nothing is ever lost
        ("12:00", "20:00", ["coarse -12:00–12:00"], True),
    ],
)
def test_the_ragged_end_lives_as_long_as_fine_panes(when: str, now: str, current: list[str], exact: bool) -> None:
    found = past_plan(when, now)
    assert found is not None
    assert (drawn(MINUTES, found.plan.current.cover), found.exact) == (current, exact)


@pytest.mark.parametrize(("when", "possible"), [("12:10", True), ("11:50", False), ("6:00", True), ("6:10", False)])
def test_a_short_window_that_has_lost_more_than_its_ends_is_none(when: str, possible: bool) -> None:
    # now is 13:00 and minutes live from 11:00: an hour that began before is there whole, or not at all
    assert (past_plan(when, "13:00", SHORT) is not None) == possible


@pytest.mark.parametrize(
    ("kept_from", "first_seen", "possible"),
    [
        (at("12:00") - 8 * DAY, LONG_AGO, True),
        (at("12:00") - 8 * DAY + 1, LONG_AGO, False),  # a part of the baseline is gone
        (at("12:00") - 3 * DAY, at("12:00") - 3 * DAY, True),  # there was nothing before
        (at("12:00") - 3 * DAY, at("12:00") - 4 * DAY, False),
    ],
)
def test_panes_have_to_reach_back_as_far_as_there_was_anything(
    kept_from: float, first_seen: float, possible: bool
) -> None:
    found = past_plan("12:00", "20:00", kept_from=kept_from, first_seen=first_seen)
    assert (found is not None) == possible


def test_a_held_baseline_has_fine_panes_only_where_they_were_kept_for_it() -> None:
    # drift of 9:50 was confirmed at 9:55, and minutes from 8:55 on kept for it; at 12:55 minutes live from 10:55
    start, confirmed = (datetime.fromtimestamp(at(each), UTC) for each in ("9:50", "9:55"))
    normal = NormalTime(revision=1, excluded=(ExcludedInterval(start=start, confirmed_at=confirmed),))
    monitor = SHORT.model_copy(update={"normal_time": normal})
    reach = Reach(at("12:55"), LONG_AGO, LONG_AGO)
    kept = plan_past_evaluation(MINUTES, monitor, at("12:50"), at("12:50"), reach, normal)
    assert kept is not None
    assert (drawn(MINUTES, kept.plan.baseline.cover)[-1], kept.exact) == ("fine 9:00–9:50", True)
    assert plan_past_evaluation(MINUTES, monitor, at("12:50"), at("12:50"), reach) is None, "too much of it is gone"


def _drawn_up(plan: EvaluationPlan) -> tuple[object, ...]:
    return plan.baseline, plan.current, plan.season()


@given(
    st.integers(0, 3 * 1440), st.integers(0, 3 * 86_400), st.sampled_from([1, 3, 24, 168]), st.sampled_from([1, 3, 24])
)
def test_past_windows_are_those_of_then_or_little_shorter(minute: int, age: int, baseline: int, current: int) -> None:
    grid, when = PaneGrid(60), MIDNIGHT + 60 * minute
    settings = Monitor(
        model_id="model", version=1, baseline_seconds=max(baseline, current) * HOUR, current_seconds=current * HOUR
    )
    made_at = when + 7
    found = plan_past_evaluation(grid, settings, when, made_at, Reach(made_at + age, LONG_AGO, LONG_AGO))
    then = plan_evaluation(grid, settings, when, LONG_AGO, made_at)
    if found is None:
        return
    assert found.exact == (_drawn_up(found.plan) == _drawn_up(then))
    for was, left in ((then.baseline, found.plan.baseline), (then.current, found.plan.current)):
        assert left.cover.start >= was.cover.start
        assert left.cover.end <= was.cover.end
        assert left.cover.end - left.cover.start >= LEAST_PART * (was.cover.end - was.cover.start)
        for each in left.cover.ranges:
            if each.resolution is Resolution.FINE:
                assert each.first >= grid.first_live_fine(made_at + age), "of what lives now"
