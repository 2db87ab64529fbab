"""Whether an owned model is silent, from what its table holds: arrivals, coarse panes, and how far the log is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sentryml_common.contracts.evaluation import ActivityEvaluation, Level
from sentryml_common.contracts.monitor import Monitor
from sentryml_drift.domain.arrivals import by_day, with_arrivals
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.processor.models import FACTS, OwnedModel, pane_of
from sentryml_statistics.comparison.activity import activity_at
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid

GRID = PaneGrid(60.0)
NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC).timestamp()
DAY, MINUTE = 86_400.0, 60.0
MONITOR = Monitor(model_id="fraud", version=1)


def a_model(seconds: range, per_hour: int = 600, arrivals: range | None = None) -> OwnedModel:
    """A model with events in each of these hours before NOW, that came in at those minutes before it, or each."""
    model = OwnedModel(0)
    begin, end = (int((NOW - age) // MINUTE) for age in (seconds.start, seconds.stop))
    facts = ModelFacts(begin * MINUTE, begin * MINUTE, end * MINUTE)
    model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
    counts = ChunkedSum((PaneCounts.of(["ok"] * per_hour, [0.5] * per_hour).pack(),)).pack()
    for hour in range(begin // 60, -(-end // 60)):
        model.put(pane_of(Kind.COARSE, hour), counts)
    came_in = range(begin, end) if arrivals is None else (int(NOW // MINUTE) - age for age in arrivals)
    for day, panes in by_day(came_in).items():
        model.put(pane_of(Kind.ARRIVALS, day), with_arrivals(None, panes))
    return model


def ages(oldest: float, youngest: float) -> range:
    return range(int(oldest), int(youngest))


def judged(
    model: OwnedModel, read_until: float = NOW, at: float = NOW, monitor: Monitor = MONITOR
) -> ActivityEvaluation:
    found = activity_at(GRID, monitor, model, at, read_until, model.facts().first_seen)
    assert found is not None
    return found


def test_a_steady_model_that_stops_is_silent_since_its_last_prediction() -> None:
    found = judged(a_model(ages(9 * DAY, 20 * MINUTE)))
    assert found.level is Level.WARN
    assert found.last_received == datetime(2026, 11, 26, 14, 9, tzinfo=UTC)
    assert found.read_until == datetime.fromtimestamp(NOW, UTC)
    assert found.usual_per_hour == 600
    assert found.period_seconds == 7 * DAY
    assert judged(a_model(ages(9 * DAY, 14 * MINUTE))).level is Level.OK


def test_silence_is_judged_only_as_far_as_the_log_is_read() -> None:
    """Nothing has come in for two hours, and nothing has been read for nearly as long."""
    model = a_model(ages(9 * DAY, 120 * MINUTE))
    assert judged(model).level is Level.WARN
    behind = judged(model, read_until=NOW - 110 * MINUTE)
    assert behind.level is Level.OK
    assert behind.read_until.timestamp() == NOW - 110 * MINUTE


def test_loaded_history_counts_once_live_predictions_have_come_for_an_hour() -> None:
    live = judged(a_model(ages(9 * DAY, 20 * MINUTE), arrivals=range(90, 20, -1)))
    assert live.level is Level.WARN
    batch = judged(a_model(ages(9 * DAY, 20 * MINUTE), arrivals=range(30, 20, -1)))
    assert batch.level is Level.INSUFFICIENT_DATA


@pytest.mark.parametrize("history", [2 * DAY, 9 * DAY])
@pytest.mark.parametrize("began", [90, 91, 119, 120, 149])
def test_at_which_minute_of_an_hour_live_predictions_began_does_not_matter(began: int, history: float) -> None:
    model = a_model(ages(history, 20 * MINUTE), arrivals=range(began, 20, -1))
    assert judged(model).level is Level.WARN


@pytest.mark.parametrize("began", [90, 119, 149])
def test_a_sparse_history_is_no_denser_for_that(began: int) -> None:
    """Three predictions an hour: nothing for 40 minutes is a chance."""
    model = a_model(ages(2 * DAY, 40 * MINUTE), per_hour=3, arrivals=range(began, 40, -20))
    assert judged(model).level is not Level.WARN


def test_of_a_model_whose_panes_are_gone_nothing_is_said() -> None:
    assert activity_at(GRID, MONITOR, a_model(ages(30 * DAY, 10 * DAY)), NOW, NOW, NOW - 30 * DAY) is None
    assert activity_at(GRID, MONITOR, OwnedModel(0), NOW, NOW, None) is None


def test_volume_is_that_of_the_current_window_against_the_same_time_last_week() -> None:
    model = a_model(ages(9 * DAY, 0))
    assert judged(model).volume_ratio == 1.0
    half = ChunkedSum((PaneCounts.of(["ok"] * 300, [0.5] * 300).pack(),)).pack()
    hour = int(NOW // 3600)
    for age in range(25):
        model.put(pane_of(Kind.COARSE, hour - age), half)
    assert judged(model).volume_ratio == 0.5
    assert judged(a_model(ages(3 * DAY, 0))).volume_ratio is None, "last week there was no such model"
    short = MONITOR.model_copy(update={"current_seconds": 60.0})
    assert judged(model, monitor=short).volume_ratio is None
