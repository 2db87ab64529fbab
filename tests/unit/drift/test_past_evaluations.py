"""Recomputing goes forward: each evaluation is against the normal time that those before it lead to.

Panes are of hours, and windows begin and end on the hour: nothing of them is ever lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.evaluation import Evaluation, Level
from sentryml_common.contracts.internal.recomputation import RecomputedEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation.counting import evaluate_model
from sentryml_drift.evaluation.past_evaluations import PastEvaluations
from sentryml_drift.processor.models import FACTS, OwnedModel, WindowSums, pane_of
from sentryml_lifecycle.preview import Replay
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, decide
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution
from sentryml_statistics.time.past_windows import Reach
from sentryml_statistics.time.plan import plan_evaluation
from sentryml_statistics.time.schedule import due_at

GRID, HOUR = PaneGrid(60.0), 3600.0
START = datetime(2026, 11, 16, tzinfo=UTC)
EVER = START.timestamp()
MODEL = next(
    name
    for name in (f"model-{number}" for number in count())
    if due_at(GRID, name, HOUR, START.timestamp()) % HOUR == 0
)
QUICK = Monitor(
    model_id=MODEL, version=1, baseline_seconds=24 * HOUR, current_seconds=3 * HOUR, every_seconds=HOUR,
    season_seconds=24 * HOUR, min_samples=30,
)  # fmt: skip


def hour_of(name: str, seed: int) -> bytes:
    """An hour of events as the table holds it: of a model as usual, shifted a little or a lot, or otherwise."""
    shift = {"usual": 0.0, "little": 0.12, "lot": 0.35, "other": -0.2}[name]
    scores = (np.random.default_rng(seed).beta(2, 5, 60) + shift).round(2).tolist()
    counts = PaneCounts.of(["late" if score > 0.3 else "on time" for score in scores], scores)
    return ChunkedSum((counts.pack(),)).pack()


HOURS = {name: [hour_of(name, seed) for seed in range(5)] for name in ("usual", "little", "lot", "other")}


def a_model(hours: list[str]) -> OwnedModel:
    """A model first seen at START; nothing is sent in an hour called `none`."""
    model, first = OwnedModel(0), GRID.pane_of(START.timestamp(), Resolution.COARSE)
    facts = ModelFacts(EVER, after(len(hours)).timestamp())
    model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
    for number, name in enumerate(hours):
        if name != "none":
            model.put(pane_of(Kind.COARSE, first + number), HOURS[name][number % 5])
    return model


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def replayed(hours: list[str], monitor: Monitor = QUICK, since: int = 0) -> list[RecomputedEvaluation]:
    """What is recomputed after these hours, from one of them on; all panes are kept."""
    past, reach = PastEvaluations(GRID, monitor, a_model(hours)), Reach(after(len(hours)).timestamp(), EVER, EVER)
    times = (after(hour).timestamp() for hour in range(since + 1, len(hours) + 1))
    found = [past.at(at, at, reach) for at in times]
    return [each for each in found if each is not None]


def live(hours: list[str], monitor: Monitor = QUICK) -> tuple[list[Evaluation], Replay, NormalTime]:
    """The evaluations as drift makes them hour by hour, with what incidents decides in between."""
    model, windows = a_model(hours), WindowSums()
    snapshot, found = Snapshot(MODEL, 1, monitor), []
    for hour in range(1, len(hours) + 1):
        in_force, at = monitor.model_copy(update={"normal_time": snapshot.normal_time}), after(hour).timestamp()
        plan = plan_evaluation(GRID, in_force, at, EVER, at)
        found.append(evaluate_model(GRID, in_force, model, windows, at, plan))
        snapshot = decide(snapshot, Evaluated(found[-1]), after(hour)).snapshot
    replay = Replay(MODEL, monitor)
    replay.take(found, {1: monitor})
    return found, replay, snapshot.normal_time


def decided(found: list[RecomputedEvaluation], monitor: Monitor = QUICK) -> Replay:
    replay = Replay(MODEL, monitor, found)
    replay.finish()
    return replay


def without_ids(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation without its bins, and without the revision that normal time had."""
    signals = tuple(found.model_copy(update={"bins": ()}) for found in evaluation.signals)
    thin = evaluation.model_copy(update={"signals": signals})
    return thin.model_dump(exclude={"evaluation_id", "normal_time_revision"})


def test_a_lasting_step_holds_the_baseline_that_these_settings_would_have_held() -> None:
    """The monitor in force has never found drift: its normal time is all time."""
    found = replayed(["usual"] * 40 + ["little"] * 60)
    newest = found[-1].evaluation
    assert after(37) < newest.baseline.end <= after(40), "not filled with drift"
    assert newest.level is not Level.OK
    (incident,) = decided(found).incidents
    assert after(40) < incident.opened_at <= after(44)
    assert (incident.resolved_at, incident.reopened) == (None, 0)


def test_with_higher_thresholds_the_same_step_becomes_normal() -> None:
    """The monitor in force holds its baseline; this one would not have."""
    hours = ["usual"] * 40 + ["little"] * 60
    _, _, normal = live(hours)
    assert normal.drift_lasts
    deaf = QUICK.model_copy(update={"warn": 5.0, "critical": 9.0, "normal_time": normal})
    found = replayed(hours, deaf)
    assert decided(found, deaf).incidents == ()
    newest = found[-1].evaluation
    assert newest.baseline.end == after(97)
    assert max(each.psi or 0.0 for each in newest.signals) < 0.1


def test_an_accepted_new_normal_counts_once_it_can_be_compared_with() -> None:
    accepted = QUICK.model_copy(update={"normal_time": NormalTime(revision=3, since=after(42))})
    found = replayed(["usual"] * 40 + ["lot"] * 40, accepted)
    (incident,) = decided(found, accepted).incidents
    assert after(40) < incident.opened_at <= after(42)
    assert incident.resolved_at is not None
    assert incident.resolved_at >= after(42 + 2 * 3), "a current window, and as much to compare it with"


def test_what_was_drift_before_the_first_evaluation_is_as_it_was_known_then() -> None:
    hours = ["usual"] * 30 + ["lot"] * 12 + ["usual"] * 40
    _, _, normal = live(hours)
    (drift,) = normal.excluded
    monitor = QUICK.model_copy(update={"normal_time": normal})
    whole = replayed(hours, monitor)
    assert all(each.exact for each in whole), "all drift is found again"
    late = replayed(hours, monitor, since=60)
    assert late[0].evaluation.baseline.left_out[0].start == drift.start
    assert not any(each.exact for each in late)


stretches = st.lists(
    st.tuples(st.sampled_from(["usual", "usual", "little", "lot", "other", "none"]), st.integers(1, 16)), max_size=5
)


@settings(max_examples=10)
@given(stretches)
def test_the_settings_in_force_find_what_was_found(stretches: list[tuple[str, int]]) -> None:
    hours = ["usual"] * 26 + [name for name, length in stretches for _ in range(length)]
    evaluations, was, normal = live(hours)
    found = replayed(hours, QUICK.model_copy(update={"normal_time": normal}))
    assert [without_ids(each.evaluation) for each in found] == [without_ids(each) for each in evaluations]
    assert all(each.exact for each in found)
    would_be = decided(found)
    assert (would_be.incidents, would_be.alerts) == (was.incidents, was.alerts)
