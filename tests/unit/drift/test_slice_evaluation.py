"""What an evaluation says of versions and segments: how many, since when, and which of them differ."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pytest

from sentryml_common.contracts.evaluation import Evaluation, Level, Signal, SliceEvaluation, Slicing
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.evaluation.slices import MOST_NAMED
from sentryml_drift.processor.models import OwnedModel, WindowSums
from sentryml_statistics.comparison.bins import bin_counts
from sentryml_statistics.comparison.psi import divergence
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.time.plan import plan_evaluation
from tests.support.sliced import GRID, HOUR, sliced_events
from tests.support.sliced import model_of as counted

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()
MONITOR = Monitor(model_id="m", version=1, baseline_seconds=24 * HOUR, current_seconds=4 * HOUR, season_seconds=None)
SINCE = AT - 27 * HOUR
RNG = np.random.default_rng(7)


def events(start: float, end: float, count: int, mean: float = 0.3, **slices: str) -> list[EventRow]:
    return sliced_events(RNG, start, end, count, mean, **slices)


def model_of(rows: list[EventRow]) -> OwnedModel:
    return counted(rows, AT)


def evaluated(model: OwnedModel, at: float = AT, monitor: Monitor = MONITOR, *, sliced: bool = True) -> Evaluation:
    plan = plan_evaluation(GRID, monitor, at, model.facts().first_seen or at, at)
    sums = model.sums_of_slices() if sliced else None
    return evaluate_model(GRID, monitor, model, WindowSums(), at, plan, slices=sums)


def named(evaluation: Evaluation) -> dict[str, SliceEvaluation]:
    return {each.value: each for each in evaluation.slices}


def test_a_new_version_differs_and_the_others_do_not() -> None:
    began = AT - 12 * 60
    model = model_of(
        [
            *events(SINCE, AT, 20_000, version="2.2"),
            *events(began, AT, 1_000, mean=0.7, version="2.3"),
        ]
    )
    found = named(evaluated(model))
    new, old = found["2.3"], found["2.2"]
    assert new.slicing is old.slicing is Slicing.VERSION
    assert new.events == 1_000
    assert new.share == pytest.approx(1_000 / (1_000 + old.events))
    assert (new.began, old.began) == (datetime.fromtimestamp(began, UTC), None)
    [score] = [each for each in new.signals if each.signal is Signal.SCORE]
    assert score.moved
    assert not score.others_moved
    assert (score.psi or 0) > 2
    assert (score.others_psi or 1) < 0.05
    mirrored = next(each for each in old.signals if each.signal is Signal.SCORE)
    assert (mirrored.psi, mirrored.others_psi) == pytest.approx((score.others_psi, score.psi))


def test_the_psi_of_a_slice_is_that_of_its_events_against_the_models_baseline() -> None:
    before, now = events(SINCE, AT - 4.5 * HOUR, 5_000), events(AT - 3 * HOUR, AT, 2_000, mean=0.5, version="2.3")
    found = named(evaluated(model_of([*before, *now])))["2.3"]
    start = AT - 28 * HOUR
    baseline = [row.score for row in before if row.seconds() >= start]
    sides = (Histogram.of([each for each in side if each is not None]) for side in (baseline, [r.score for r in now]))
    bins = bin_counts(*sides, MONITOR.bins)
    expected = divergence([each.baseline for each in bins], [each.current for each in bins]).psi
    assert found.signals[0].psi == pytest.approx(expected, rel=0.01)
    assert found.signals[0].others_psi is None, "there are none"


def test_a_segment_is_compared_with_its_own_past_and_so_are_the_others() -> None:
    rows = [
        *events(SINCE, AT, 20_000, mean=0.2, segment="us"),
        *events(SINCE, AT - 4.5 * HOUR, 5_000, mean=0.7, segment="eu"),
        *events(AT - 4.5 * HOUR, AT, 1_000, mean=0.9, segment="eu"),
    ]
    found = named(evaluated(model_of(rows)))
    eu, us = found["eu"].signals[0], found["us"].signals[0]
    assert (eu.moved, eu.others_moved) == (True, False)
    assert (us.moved, us.others_moved) == (False, True)
    assert (us.psi or 0) < 0.05, "it always differed from the rest"


def test_no_level_and_no_byte_beside_depends_on_slices() -> None:
    plain = [*events(SINCE, AT - HOUR, 5_000), *events(AT - HOUR, AT, 2_000, mean=0.9)]
    sliced = [
        EventRow(row.model_id, row.prediction, row.score, row.timestamp, version="1", segment=str(number % 3))
        for number, row in enumerate(plain)
    ]
    without, found = evaluated(model_of(plain)), evaluated(model_of(sliced))
    assert found.level is Level.CRITICAL
    assert found.slices
    assert encode(found.model_copy(update={"slices": ()})) == encode(without)
    assert b"slices" not in encode(without)
    assert encode(evaluated(model_of(sliced), sliced=False)) == encode(without)


def test_few_events_have_a_share_and_no_psi() -> None:
    model = model_of([*events(SINCE, AT, 20_000, version="2.2"), *events(AT - 600, AT, 10, mean=0.9, version="2.3")])
    found = named(evaluated(model))["2.3"]
    assert found.events == 10
    assert [(each.psi, each.warn_at, each.moved) for each in found.signals] == [(None, None, False)] * 2


def test_the_heaviest_and_the_new_are_named_and_no_more_than_ten_of_a_slicing() -> None:
    rows = [row for number in range(30) for row in events(SINCE, AT, 600 + 20 * number, version=f"v{number:02}")]
    rows += events(AT - 600, AT, 20, version="new")
    rows += [row for number in range(30) for row in events(SINCE, AT, 300, segment=f"s{number:02}")]
    rows += events(SINCE, AT - 5 * HOUR, 9_000, version="gone")
    by_slicing = defaultdict(list)
    for each in evaluated(model_of(rows)).slices:
        by_slicing[each.slicing].append(each.value)
    assert {len(values) for values in by_slicing.values()} == {MOST_NAMED}
    assert by_slicing[Slicing.VERSION][-1] == "new"
    assert by_slicing[Slicing.VERSION][0] == "v29"
    assert "gone" not in by_slicing[Slicing.VERSION]


def test_what_was_there_when_the_model_began_or_before_panes_are_kept_has_not_begun() -> None:
    young = model_of([*events(AT - 6 * HOUR, AT, 5_000, version="2.2"), *events(AT - 900, AT, 100, version="2.3")])
    assert {value: each.began is None for value, each in named(evaluated(young)).items()} == {"2.2": True, "2.3": False}
    old = model_of([*events(AT - 60 * HOUR, AT, 5_000), *events(AT - 28 * HOUR, AT, 3_000, version="2.2")])
    assert named(evaluated(old))["2.2"].began is None


def test_sums_that_are_kept_say_what_fresh_ones_do() -> None:
    rows = [
        *events(SINCE, AT + 3 * HOUR, 20_000, version="2.2", segment="eu"),
        *events(AT - 720, AT + 3 * HOUR, 3_000, mean=0.6, version="2.3", segment="us"),
    ]
    model = model_of(rows)
    for step in range(8):
        at = AT + step * HOUR / 2
        kept, fresh = evaluated(model, at), evaluated(model_of(rows), at)
        assert kept.slices == fresh.slices


def test_a_slice_that_has_begun_since_is_not_named() -> None:
    model = model_of([*events(SINCE, AT + 600, 9_000, version="2.2"), *events(AT + 60, AT + 600, 90, version="2.3")])
    assert list(named(evaluated(model))) == ["2.2"]


def test_a_window_within_one_coarse_pane_takes_that_one_and_compares_nothing() -> None:
    short = MONITOR.model_copy(update={"baseline_seconds": 1800.0, "current_seconds": 600.0})
    model = model_of([*events(AT - 2400, AT, 4_000, version="2.2")])
    found = named(evaluated(model, monitor=short))["2.2"]
    assert (found.share, found.signals) == (1.0, ())


def test_a_model_without_slices_keeps_nothing_for_them() -> None:
    model = model_of(events(SINCE, AT, 2_000))
    assert model.sums_of_slices() is None
    assert evaluated(model).slices == ()
