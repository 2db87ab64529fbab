"""Segments that are evaluated by themselves: against their own baseline, within the model's false-alarm budget."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from sentryml_common.contracts.evaluation import (
    Evaluation,
    InsufficientReason,
    Level,
    NoSeason,
    Signal,
    SignalEvaluation,
)
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import DAY, Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.processor.models import OwnedModel, WindowSums
from sentryml_statistics.comparison.noise import alpha_for
from sentryml_statistics.comparison.segments import MOST_WITH_BINS
from sentryml_statistics.time.plan import plan_evaluation
from tests.support.exact_psi import psi_of_values
from tests.support.sliced import GRID, HOUR, model_of, sliced_events

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()
WHOLE = AT - HOUR / 2
"""The end of the newest whole coarse pane."""
MONITOR = Monitor(
    model_id="m",
    version=1,
    baseline_seconds=24 * HOUR,
    current_seconds=4 * HOUR,
    season_seconds=None,
    evaluate_segments=True,
)
OFF = MONITOR.model_copy(update={"evaluate_segments": False})
SINCE, BORDER = WHOLE - 28 * HOUR, WHOLE - 4 * HOUR


def events(start: float, end: float, count: int, segment: str | None = None, mean: float = 0.3) -> list[EventRow]:
    """Those of a segment, the same whichever tests ran before."""
    rng = np.random.default_rng([count, round(1000 * mean), *(segment or "").encode()])
    return sliced_events(rng, start, end, count, mean, **({} if segment is None else {"segment": segment}))


def steady(*segments: str, count: int = 3_000) -> list[EventRow]:
    return [row for segment in segments for row in events(SINCE, AT, count, segment)]


def evaluated(model: OwnedModel, at: float = AT, monitor: Monitor = MONITOR) -> Evaluation:
    plan = plan_evaluation(GRID, monitor, at, model.facts().first_seen or at, at)
    return evaluate_model(GRID, monitor, model, WindowSums(), at, plan, slices=model.sums_of_slices())


def of_segment(evaluation: Evaluation, segment: str, signal: Signal = Signal.SCORE) -> SignalEvaluation:
    return next(each for each in evaluation.segments if (each.segment, each.signal) == (segment, signal))


def test_a_shift_in_one_small_segment_is_found_that_the_models_own_psi_does_not_show() -> None:
    rows = [
        *steady("us", "asia", count=20_000),
        *events(SINCE, BORDER, 1_000, "eu"),
        *events(BORDER, AT, 150, "eu", 0.6),
    ]
    evaluation = evaluated(model_of(rows, AT))
    assert [each.level for each in evaluation.signals] == [Level.OK, Level.OK]
    assert (evaluation.signals[0].psi or 1) < 0.05
    assert evaluation.level is Level.CRITICAL
    eu = of_segment(evaluation, "eu")
    assert (eu.level, eu.psi is not None and eu.psi > 1, bool(eu.bins)) == (Level.CRITICAL, True, True)
    others = [each for each in evaluation.segments if each is not eu]
    assert {(each.level, each.bins) for each in others} == {(Level.OK, ())}


def test_what_is_found_of_the_model_itself_is_the_same_with_segments_and_without() -> None:
    rows = [*steady("us", "eu"), *events(BORDER, AT, 500, "asia", 0.8)]
    model = model_of(rows, AT)
    off, on = evaluated(model, monitor=OFF), evaluated(model)
    assert (off.segments, b"segment" in encode(off.model_copy(update={"slices": ()}))) == ((), False)
    assert on.segments
    assert encode(on.model_copy(update={"segments": (), "level": off.level})) == encode(off)


def test_sums_of_segments_are_kept_only_while_the_monitor_asks_for_them() -> None:
    model = model_of(steady("us", "eu"), AT)
    kept = []
    for monitor in (OFF, MONITOR, OFF):
        evaluated(model, monitor=monitor)
        sums = model.sums_of_slices()
        assert sums is not None
        kept.append(len(sums.evaluated))
    assert kept == [0, 2, 0]


def test_a_model_without_segments_is_evaluated_as_before() -> None:
    model = model_of(events(SINCE, AT, 3_000), AT)
    assert encode(evaluated(model)) == encode(evaluated(model, monitor=OFF))


def test_all_segments_together_share_one_budget() -> None:
    names = [f"s{number}" for number in range(10)]
    model = model_of(steady(*names, count=1_500), AT)
    evaluation = evaluated(model)
    assert len(evaluation.segments) == 2 * len(names)
    assert {each.reason for each in evaluation.segments} == {None}
    of_one = evaluated(model_of(steady("s0", count=1_500), AT)).segments[0]
    of_ten = of_segment(evaluation, "s0")
    assert alpha_for(MONITOR, len(evaluation.segments)) == alpha_for(MONITOR, 2) / 10
    assert (of_ten.noise_floor or 0) > (of_one.noise_floor or 1) * 1.05, "the chance of each is rarer"


def test_a_segment_is_compared_with_its_own_baseline_in_whole_coarse_panes() -> None:
    finer = [*events(SINCE, BORDER, 4_000, "eu", 0.7), *events(BORDER, AT, 900, "eu", 0.75)]
    eu = [msgspec.structs.replace(row, score=round(row.score or 0.0, 2)) for row in finer]
    found = of_segment(evaluated(model_of([*steady("us"), *eu], AT)), "eu")
    before, now = (
        [row for row in eu if start <= row.seconds() < end] for start, end in ((SINCE, BORDER), (BORDER, WHOLE))
    )
    assert (found.baseline_count, found.current_count) == (len(before), len(now))
    exact = psi_of_values(
        *([row.score for row in rows if row.score is not None] for rows in (before, now)), MONITOR.bins
    )
    assert found.psi == pytest.approx(exact, abs=1e-9)


def test_within_a_coarse_pane_what_is_found_of_segments_does_not_change() -> None:
    rows = [*steady("us", "eu"), *events(WHOLE, AT + HOUR / 4, 500, "eu", 0.9)]
    model = model_of(rows, AT + HOUR / 4)
    first, later = (evaluated(model, at).segments for at in (WHOLE, WHOLE + 0.7 * HOUR))
    assert first == later
    assert evaluated(model, WHOLE + HOUR).segments != first


def test_sums_that_are_kept_find_what_fresh_ones_do() -> None:
    rows = [row for name in ("eu", "us") for row in events(SINCE, AT + 6 * HOUR, 9_000, name)]
    rows += events(AT, AT + 6 * HOUR, 1_000, "us", 0.6)
    model = model_of(rows, AT + 6 * HOUR)
    for step in range(7):
        at = AT + step * HOUR
        assert evaluated(model, at).segments == evaluated(model_of(rows, AT + 6 * HOUR), at).segments


def test_a_new_segment_is_not_judged_before_it_has_a_baseline_of_its_own() -> None:
    new = events(BORDER - 2 * HOUR, AT, 2_000, "new", 0.9)
    found = evaluated(model_of([*steady("us", count=20_000), *new], AT))
    assert {(each.segment, each.level, each.reason) for each in found.segments} == {
        ("us", Level.OK, None),
        ("new", Level.INSUFFICIENT_DATA, InsufficientReason.WARMING_UP),
    }


def test_a_segment_that_has_ended_or_is_small_is_not_judged_and_takes_no_part_of_the_budget() -> None:
    rows = [*steady("us"), *events(SINCE, BORDER - HOUR, 3_000, "gone"), *events(SINCE, AT, 60, "tiny")]
    alone, found = evaluated(model_of(steady("us"), AT)), evaluated(model_of(rows, AT))
    reasons = {each.segment: each.reason for each in found.segments}
    assert reasons == {
        "us": None,
        "gone": InsufficientReason.NO_DATA,
        "tiny": InsufficientReason.TOO_FEW_SAMPLES,
    }
    assert of_segment(found, "us").warn_at == pytest.approx(of_segment(alone, "us").warn_at, rel=0.2)


def test_while_the_model_itself_has_too_little_data_no_segment_is_judged() -> None:
    model = model_of(events(AT - 5 * HOUR, AT, 3_000, "us"), AT)
    evaluation = evaluated(model)
    assert (evaluation.level, evaluation.segments) == (Level.INSUFFICIENT_DATA, ())


def test_with_a_current_window_shorter_than_a_coarse_pane_there_is_nothing_to_compare() -> None:
    short = MONITOR.model_copy(update={"baseline_seconds": HOUR, "current_seconds": HOUR / 2})
    evaluation = evaluated(model_of(events(AT - 1.6 * HOUR, AT, 4_000, "us"), AT), monitor=short)
    assert (evaluation.level, evaluation.segments) == (Level.OK, ())


def test_of_a_window_that_is_no_multiple_of_coarse_panes_the_whole_ones_are_compared() -> None:
    odd = MONITOR.model_copy(update={"current_seconds": 2.5 * HOUR})
    rows = events(SINCE, AT, 28_500, "us")
    found = of_segment(evaluated(model_of(rows, AT), monitor=odd), "us")
    assert found.current_count == sum(WHOLE - 2 * HOUR <= row.seconds() < WHOLE for row in rows)


def test_the_rhythm_of_a_segment_is_explained_by_its_own_season() -> None:
    """A segment whose nights differ from its days; all others are the same at any time."""
    daily = MONITOR.model_copy(
        update={"season_seconds": float(DAY), "baseline_seconds": 3.0 * DAY, "current_seconds": 4 * HOUR}
    )
    rows = [
        row
        for back in range(1, 85)
        for row in events(AT - back * HOUR, AT - (back - 1) * HOUR, 300, "eu", 0.8 if back % 24 < 5 else 0.3)
    ]
    model = model_of([*rows, *events(AT - 84 * HOUR, AT, 40_000, "us")], AT)
    eu = of_segment(evaluated(model, monitor=daily), "eu")
    assert (eu.psi or 0) > 0.5
    assert eu.season is not None
    assert (eu.season.psi < 0.05, eu.explained_by_season, eu.level) == (True, True, Level.OK)


def test_a_segment_younger_than_a_season_is_a_warning_at_most() -> None:
    daily = MONITOR.model_copy(update={"season_seconds": float(DAY), "baseline_seconds": 1.5 * DAY})
    old = events(AT - 60 * HOUR, AT, 40_000, "us")
    new = [*events(WHOLE - 24 * HOUR, BORDER, 3_000, "new"), *events(BORDER, AT, 800, "new", 0.7)]
    evaluation = evaluated(model_of([*old, *new], AT), monitor=daily)
    found = of_segment(evaluation, "new")
    assert (found.psi or 0) > 1
    assert (found.level, found.no_season) == (Level.WARN, NoSeason.NOT_YET)


def test_a_held_baseline_is_that_of_the_segments_too() -> None:
    began = datetime.fromtimestamp(BORDER - 8 * HOUR, UTC)
    drifted = [
        row
        for name in ("eu", "us")
        for row in (
            *events(SINCE - 20 * HOUR, BORDER - 8 * HOUR, 9_000, name),
            *events(BORDER - 8 * HOUR, AT, 3_000, name, 0.6),
        )
    ]
    model = model_of(drifted, AT)
    held = MONITOR.model_copy(
        update={"normal_time": NormalTime(revision=1, excluded=(ExcludedInterval(start=began, confirmed_at=began),))}
    )
    assert {of_segment(evaluated(model, monitor=held), name).level for name in ("eu", "us")} == {Level.CRITICAL}
    assert all(
        (each.psi or 9) < (of_segment(evaluated(model, monitor=held), each.segment or "").psi or 0)
        for each in evaluated(model).segments
        if each.signal is Signal.SCORE
    )


def test_bins_are_of_the_segments_that_drift_most() -> None:
    names = [f"s{number:02}" for number in range(MOST_WITH_BINS + 4)]
    rows = [
        row
        for n, name in enumerate(names)
        for row in (*events(SINCE, BORDER, 2_000, name), *events(BORDER, AT, 600, name, 0.5 + n / 40))
    ]
    found = [each for each in evaluated(model_of(rows, AT)).segments if each.signal is Signal.SCORE]
    assert {each.level for each in found} == {Level.CRITICAL}
    with_bins = {each.segment for each in found if each.bins}
    assert with_bins == {each.segment for each in sorted(found, key=lambda each: -(each.psi or 0))[:MOST_WITH_BINS]}
