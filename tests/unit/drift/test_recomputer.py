"""Recomputing works in slices, one request at a time, and ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

import numpy as np
import pytest

from sentryml_common.contracts.internal.recomputation import Ended, Recompute, RecomputedEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_common.errors import Unavailable
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind
from sentryml_drift.evaluation import recomputer
from sentryml_drift.evaluation.recomputer import Recomputer
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import FACTS, OwnedModel, pane_of
from sentryml_drift.processor.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution

GRID = PaneGrid(60.0)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MONITOR = Monitor(model_id="model", version=1)
SHORT = Monitor(model_id="model", version=1, baseline_seconds=3 * 86_400)


def ours() -> bool:
    return True


def a_model(days: int = 30, daily: float = 0.0) -> OwnedModel:
    """A model with events in each hour of the last nine days, and more before that are not kept; `daily` is by how much
    scores of one day are alike higher or lower."""
    rng, model = np.random.default_rng(1), OwnedModel(0)
    facts = ModelFacts((NOW - days * DAY).timestamp(), NOW.timestamp())
    model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
    newest = GRID.pane_of(NOW.timestamp(), Resolution.COARSE)
    shift = 0.0
    for hour in range(9 * 24):
        if (newest - hour + 1) % 24 == 0:
            shift = rng.normal(0, daily) if daily else 0.0
        scores = (rng.beta(2, 5, 100) + shift).tolist()
        counts = PaneCounts.of(["late" if score > 0.3 else "on time" for score in scores], scores)
        model.put(pane_of(Kind.COARSE, newest - hour), ChunkedSum((counts.pack(),)).pack())
    return model


@pytest.fixture
def worker() -> Recomputer:
    retention = Retention(GRID, {"model": MONITOR}.get, lambda: NOW)
    settings = DriftSettings(kafka_bootstrap="nowhere:1")
    return Recomputer(cast(Processor, None), retention, GRID, settings, lambda: NOW)


async def recompute(
    recomputer: Recomputer, model: OwnedModel, monitor: Monitor = SHORT, days: float = 30, most: int = 5_000
) -> tuple[Ended, list[RecomputedEvaluation]]:
    found: list[RecomputedEvaluation] = []
    asked = Recompute(monitor=monitor, since=NOW - days * DAY, most=most)
    ended, _ = await recomputer.recompute_owned(model, asked, found.append, ours)
    return ended, found


async def test_it_goes_back_as_far_as_panes_reach(worker: Recomputer) -> None:
    ended, found = await recompute(worker, a_model())
    times = [each.evaluation.evaluated_at for each in found]
    assert ended is Ended.PANES
    assert {later - earlier for later, earlier in pairwise(times)} == {timedelta(minutes=5)}
    # 8 days and up to two panes are kept for the monitor in force, and these windows need four days of them
    assert 4 * DAY < NOW - times[-1] < 4 * DAY + timedelta(hours=2)
    assert all(each.evaluation.level != "insufficient_data" for each in found)
    assert any(signal.bins for signal in found[0].evaluation.signals)
    assert all(signal.bins == () for each in found[1:] for signal in each.evaluation.signals)


async def test_each_evaluation_is_against_what_was_known_to_be_normal_then(worker: Recomputer) -> None:
    began, confirmed, ended = (NOW - days * DAY for days in (3, 2.5, 1))
    drift = ExcludedInterval(start=began, confirmed_at=confirmed, end=ended)
    monitor = SHORT.model_copy(update={"normal_time": NormalTime(revision=2, excluded=(drift,))})
    _, found = await recompute(worker, a_model(), monitor)
    baselines = {each.evaluation.evaluated_at: each.evaluation.baseline for each in found}
    before = [baseline for at, baseline in baselines.items() if at <= confirmed]
    during = [baseline for at, baseline in baselines.items() if confirmed < at <= ended]
    after = [baseline for at, baseline in baselines.items() if at > ended + DAY + timedelta(hours=1)]
    assert min(len(before), len(during)) > 100, "there are evaluations of both times"
    assert not any(baseline.left_out for baseline in before)
    assert max(baseline.end for baseline in during) == began, "the baseline is held"
    assert all(baseline.left_out[0].start == began for baseline in after)


@pytest.mark.parametrize(
    ("days", "most", "seen", "expected", "count"),
    [
        (1, 5_000, 30, Ended.SINCE, 287),
        (30, 7, 30, Ended.COUNT, 7),
        (30, 5_000, 1, Ended.FIRST_SEEN, 287),
    ],
)
async def test_it_ends_where_it_is_asked_to(
    worker: Recomputer, days: float, most: int, seen: int, expected: Ended, count: int
) -> None:
    ended, found = await recompute(worker, a_model(seen), days=days, most=most)
    assert ended is expected
    assert len(found) == pytest.approx(count, abs=1)


async def test_it_ends_when_it_has_worked_for_long_enough(worker: Recomputer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputer, "MOST_WORK_SECONDS", 0.02)
    ended, found = await recompute(worker, a_model())
    assert ended is Ended.TIME
    assert 0 < len(found) < 1000


async def test_other_tasks_run_meanwhile(worker: Recomputer) -> None:
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    _, found = await recompute(worker, a_model())
    ended.set()
    await waiting
    assert len(found) > 1000
    assert turns > 20, "a thousand evaluations are tens of slices"


async def test_one_request_at_a_time_and_a_long_wait_is_refused(
    worker: Recomputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = a_model()
    both = await asyncio.gather(recompute(worker, model, most=100), recompute(worker, model, most=100))
    assert both[0] == both[1]
    monkeypatch.setattr(recomputer, "MOST_WAIT_SECONDS", 0.0)
    first = asyncio.create_task(recompute(worker, model))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="busy with other recomputations"):
        await recompute(worker, model)
    assert (await first)[0] is Ended.PANES


async def test_a_model_that_is_lost_meanwhile_has_no_answer(worker: Recomputer) -> None:
    found: list[RecomputedEvaluation] = []
    asked = Recompute(monitor=SHORT, since=NOW - 30 * DAY)
    with pytest.raises(Unavailable, match="another worker"):
        await worker.recompute_owned(a_model(), asked, found.append, lambda: len(found) < 3)
    assert len(found) == 3


async def test_days_that_differ_have_a_design_effect(worker: Recomputer) -> None:
    asked = Recompute(monitor=MONITOR, since=NOW - DAY, most=1)
    _, alike = await worker.recompute_owned(a_model(), asked, lambda _: None, ours)
    assert {each.signal for each in alike} == {"score", "prediction"}
    assert {each.blocks for each in alike} <= {7, 8}
    assert all(each.effect < 1.5 for each in alike)
    _, other = await worker.recompute_owned(a_model(daily=0.1), asked, lambda _: None, ours)
    assert all(each.effect > 3 for each in other)


async def test_time_that_is_not_normal_is_no_block(worker: Recomputer) -> None:
    drift = ExcludedInterval(start=NOW - 5 * DAY, confirmed_at=NOW - 4.9 * DAY, end=NOW - 4.6 * DAY)
    monitor = MONITOR.model_copy(update={"normal_time": NormalTime(revision=2, excluded=(drift,))})
    asked = Recompute(monitor=monitor, since=NOW - DAY, most=1)
    assert (await worker.recompute_owned(a_model(), asked, lambda _: None, ours))[1][0].blocks in (6, 7)
