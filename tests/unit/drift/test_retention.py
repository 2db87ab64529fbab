"""Which panes a worker keeps: the young ones, and those of normal time that a held baseline is made of."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalSpan, NormalTime, SetAside
from sentryml_drift.domain.kept_panes import KeptPanes
from sentryml_drift.domain.partials import KIND_OF, Kind, Target
from sentryml_drift.processor.models import OwnedModel, pane_of
from sentryml_drift.processor.retention import Retention
from sentryml_statistics.time.panes import Resolution
from sentryml_statistics.time.windows import windows_at
from tests.unit.drift.test_normal_time import moment, normal
from tests.unit.drift.test_windows import DAY, HOUR, MINUTES, at

NOON = at("12:00")


def monitor_with(spans: NormalSpan, set_aside: SetAside | None = None, **settings: object) -> Monitor:
    normal_time = NormalTime(revision=1, since=spans.since, excluded=spans.excluded, set_aside=set_aside)
    return Monitor.model_validate({"model_id": "model", "version": 1, "normal_time": normal_time, **settings})


def retention(monitor: Monitor, now: float) -> Retention:
    return Retention(MINUTES, lambda _: monitor, lambda: datetime.fromtimestamp(now, UTC))


def coarse(time: float) -> Target:
    return Target("model", Kind.COARSE, MINUTES.pane_of(time, Resolution.COARSE))


def fine(time: float) -> Target:
    return Target("model", Kind.FINE, MINUTES.pane_of(time, Resolution.FINE))


def test_without_drift_panes_are_kept_as_long_as_the_windows_reach() -> None:
    kept = retention(monitor_with(normal()), NOON)
    assert not kept.expired(coarse(NOON - 8 * DAY))
    assert kept.expired(coarse(NOON - 8 * DAY - 3 * HOUR))


def test_while_drift_lasts_the_normal_time_before_it_is_kept() -> None:
    drift = NOON - 30 * DAY
    kept = retention(monitor_with(normal((drift, None))), NOON)
    assert not kept.expired(coarse(drift - HOUR))
    assert not kept.expired(coarse(drift - 8 * DAY))
    assert kept.expired(coarse(drift - 8 * DAY - 4 * HOUR))
    assert kept.expired(coarse(drift + 10 * DAY)), "drift of long ago is in no window"
    assert not kept.expired(coarse(NOON - 7 * DAY)), "the newest of any time"
    assert not kept.expired(coarse(NOON - 14 * DAY)), "and a season more, for the seasonal check"


def test_fine_panes_of_a_held_baseline_are_kept_as_they_were_when_drift_was_confirmed() -> None:
    drift = NOON - DAY
    short = monitor_with(
        normal((drift, None), confirmed=600), baseline_seconds=1800, current_seconds=600, every_seconds=60
    )
    kept = retention(short, NOON)
    assert not kept.expired(fine(drift - 60))
    assert not kept.expired(fine(drift - 1800))
    assert kept.expired(fine(drift - 3 * HOUR))
    assert kept.expired(fine(drift + 3 * HOUR))


def test_what_a_word_has_set_aside_is_kept_until_it_can_no_longer_be_undone() -> None:
    before = SetAside(since=None, excluded=normal((NOON - 20 * DAY, None)).excluded, until=moment(NOON + DAY))
    monitor = monitor_with(normal(since=NOON - 20 * DAY), set_aside=before)
    old = coarse(NOON - 21 * DAY)
    assert not retention(monitor, NOON).expired(old)
    assert retention(monitor, NOON + 2 * DAY).expired(old)


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=4).map(
    lambda pairs: tuple(range(start, start + length) for start, length in sorted(pairs))
)


@given(ranges, st.integers(0, 70), st.integers(0, 70))
def test_gaps_are_all_panes_that_are_not_kept(held: tuple[range, ...], first: int, begin: int) -> None:
    kept = KeptPanes(first, held)
    found = [pane for gap in kept.gaps(begin) for pane in gap]
    assert found == [pane for pane in range(begin, 90) if pane not in kept]


@given(ranges, st.integers(0, 70))
def test_purging_leaves_what_is_kept_and_nothing_else(held: tuple[range, ...], first: int) -> None:
    model = OwnedModel(0)
    for number in range(90):
        model.put(pane_of(Kind.COARSE, number), b"x")
    kept = {resolution: KeptPanes(first, held if resolution is Resolution.COARSE else ()) for resolution in KIND_OF}
    for _ in range(2):
        model.remove_outside(kept)
        left = {pane >> 2 for pane in model.sums}
        assert left == {number for number in range(90) if number in kept[Resolution.COARSE]}


@given(st.integers(1, 40 * 24), st.integers(1, 48), st.booleans(), st.integers(0, 23))
def test_every_pane_that_a_baseline_asks_for_is_kept(ago: int, length: int, lasts: bool, current: int) -> None:
    start = NOON - ago * HOUR
    spans = normal((start, None if lasts else min(start + length * HOUR, NOON)), confirmed=HOUR)
    monitor = monitor_with(spans, current_seconds=(1 + current) * HOUR, every_seconds=60)
    kept = retention(monitor, NOON)
    baseline, current_window = windows_at(MINUTES, monitor, NOON, monitor.normal_time)
    for each in (*baseline.cover.ranges, *current_window.cover.ranges):
        for pane in range(each.first, each.end):
            assert not kept.expired(Target("model", KIND_OF[each.resolution], pane))
