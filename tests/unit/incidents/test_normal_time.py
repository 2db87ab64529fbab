"""Normal time: which runs of drift are excluded from the baseline, and that nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.normal_time import begun, without_unreachable
from tests.unit.incidents.builders import MONDAY, Story, an_evaluation, at, quick, said

DAY = timedelta(days=1)


def excluded(story: Story) -> list[tuple[float, float | None]]:
    """The excluded intervals, in minutes of the story."""
    found = story.snapshot.normal_time.excluded
    minutes = [(each.start - MONDAY, None if each.end is None else each.end - MONDAY) for each in found]
    return [(start / timedelta(minutes=1), end and end / timedelta(minutes=1)) for start, end in minutes]


def windows(minute: float) -> float:
    """Where the current window of an evaluation begins: they are a day long."""
    return minute - 24 * 60


def test_it_begins_with_the_current_window_of_the_first_of_the_evaluations_that_confirm_drift() -> None:
    story = Story(quick(confirm_warn=3))
    story.sees("ok", "warn", "warn")
    assert excluded(story) == []
    story.sees("warn")
    assert excluded(story) == [(windows(2), None)]
    assert story.snapshot.normal_time.revision == 1


def test_a_run_that_breaks_off_before_it_is_confirmed_excludes_nothing() -> None:
    story = Story(quick(confirm_warn=2))
    story.sees("warn", "ok", "warn", "hold", "warn", "ok")
    assert story.snapshot.normal_time == NormalTime()


def test_it_ends_with_the_window_of_the_evaluation_that_confirms_clean_data() -> None:
    story = Story(quick(confirm_resolve=3))
    story.sees("critical", "ok", "ok")
    assert excluded(story) == [(windows(1), None)]
    assert said(story.sees("ok")) == "resolved!"
    assert excluded(story) == [(windows(1), 4)]
    assert story.snapshot.normal_time.revision == 2


@pytest.mark.parametrize("grade", ["warn", "critical", "hold", "insufficient"])
def test_nothing_that_drifts_becomes_normal_by_waiting(grade: str) -> None:
    story = Story()
    story.sees("critical", *[grade] * 50)
    assert excluded(story) == [(windows(1), None)]
    assert story.snapshot.normal_time.revision == 1


def test_closing_an_incident_that_drifts_changes_nothing_about_normal_time() -> None:
    story = Story()
    story.sees("warn")
    before = story.snapshot.normal_time
    story.asks(Action.ACKNOWLEDGE)
    story.asks(Action.CLOSE)
    story.sees("warn")
    assert story.snapshot.normal_time == before
    story.sees("ok")
    assert excluded(story) == [(windows(1), 5)], "clean data end it, with nothing live"


def test_switching_the_monitor_off_and_on_changes_nothing_about_it() -> None:
    story = Story()
    story.sees("warn")
    before = story.snapshot.normal_time
    story.changes_monitor(enabled=False)
    story.waits(60)
    story.changes_monitor(enabled=True)
    assert story.snapshot.normal_time == before


def test_raised_thresholds_end_it_only_when_data_are_clean_under_them() -> None:
    story = Story()
    story.sees("warn")
    story.changes_monitor(warn=0.3, critical=0.5)
    assert excluded(story) == [(windows(1), None)]
    story.sees("ok")
    assert excluded(story) == [(windows(1), 3)]


def test_drift_that_comes_back_soon_goes_on_with_the_same_interval() -> None:
    story = Story()
    story.sees("warn", "ok", "warn")
    assert excluded(story) == [(windows(1), None)]
    assert story.snapshot.normal_time.revision == 3


def test_drift_long_after_is_an_interval_of_its_own() -> None:
    story = Story()
    story.sees("warn", "ok")
    story.minute += 3 * 24 * 60
    story.sees("warn")
    assert excluded(story) == [(windows(1), 2), (windows(story.minute), None)]


def test_intervals_that_overlap_are_one() -> None:
    # Windows are a day long: drift twelve hours after the end begins twelve hours before it.
    story = Story(quick(reopen_seconds=0))
    story.sees("warn", "ok")
    story.minute += 12 * 60
    story.sees("warn")
    assert excluded(story) == [(windows(1), None)]


def test_an_evaluation_against_an_older_normal_time_is_set_aside() -> None:
    story = Story()
    story.sees("critical")
    late = an_evaluation("ok", at(2), revision=0)
    assert said(story.takes(late)) == "superseded"
    assert said(story.takes(an_evaluation("ok", at(3), revision=1))) == "resolved!"
    assert said(story.takes(an_evaluation("critical", at(4), revision=1))) == "superseded"


def test_intervals_are_dropped_when_no_window_can_reach_behind_them() -> None:
    settings = quick()  # 7 d and 1 d
    old = ExcludedInterval(start=MONDAY - 40 * DAY, confirmed_at=MONDAY - 40 * DAY, end=MONDAY - 39 * DAY)
    recent = ExcludedInterval(start=MONDAY - 9 * DAY, confirmed_at=MONDAY - 9 * DAY, end=MONDAY - 8 * DAY)
    normal = NormalTime(revision=5, excluded=(old, recent))
    assert without_unreachable(normal, MONDAY, settings).excluded == (recent,)
    # Where drift has lasted for long, normal time is older, and so is what lies in it.
    held = begun(normal, MONDAY - 7 * DAY, MONDAY, settings)
    assert without_unreachable(held, MONDAY + 300 * DAY, settings).excluded == (recent, held.excluded[-1])
