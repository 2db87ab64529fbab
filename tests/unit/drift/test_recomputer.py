"""Recomputing works in slices, one request at a time, and ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast

import numpy as np
import pytest

from sentryml_common.contracts.internal.recomputation import Ended, Recompute, Recomputed
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
) -> Recomputed:
    asked = Recompute(monitor=monitor, since=NOW - days * DAY, most=most)
    return await recomputer.recompute_owned(model, asked, ours)


def times_of(found: Recomputed) -> list[datetime]:
    return [each.evaluation.evaluated_at for each in found.evaluations]


async def test_it_begins_as_early_as_panes_reach(worker: Recomputer) -> None:
    found = await recompute(worker, a_model())
    times = times_of(found)
    assert found.ended is Ended.PANES
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=5)}
    # 8 days and up to two panes are kept for the monitor in force, and these windows need four days of them
    assert 4 * DAY < NOW - times[0] < 4 * DAY + timedelta(hours=2)
    assert NOW - times[-1] < timedelta(minutes=6)
    assert all(each.evaluation.level != "insufficient_data" for each in found.evaluations)
    assert any(signal.bins for signal in found.evaluations[-1].evaluation.signals)
    assert all(signal.bins == () for each in found.evaluations[:-1] for signal in each.evaluation.signals)


async def test_where_windows_have_lost_their_fine_panes_it_begins_after(worker: Recomputer) -> None:
    hours = SHORT.model_copy(update={"baseline_seconds": 4 * 3600.0, "current_seconds": 3600.0})
    found = await recompute(worker, a_model(), hours)
    assert found.ended is Ended.PANES
    assert timedelta(minutes=30) < NOW - times_of(found)[0] < timedelta(hours=2)


@pytest.mark.parametrize(
    ("days", "seen", "expected", "count"),
    [(1, 30, Ended.SINCE, 287), (0, 30, Ended.SINCE, 1), (30, 1, Ended.FIRST_SEEN, 287)],
)
async def test_it_begins_where_it_is_asked_to(
    worker: Recomputer, days: float, seen: int, expected: Ended, count: int
) -> None:
    found = await recompute(worker, a_model(seen), days=days)
    assert found.ended is expected
    assert len(found.evaluations) == pytest.approx(count, abs=1)


async def test_of_more_times_than_asked_for_it_leaves_some_out_evenly(worker: Recomputer) -> None:
    found = await recompute(worker, a_model(), days=1, most=100)
    assert found.every_seconds == 900
    assert 95 < len(found.evaluations) <= 100
    assert {later - earlier for earlier, later in pairwise(times_of(found))} <= {
        timedelta(minutes=minutes) for minutes in (5, 10, 15)
    }
    assert NOW - times_of(found)[-1] < timedelta(minutes=6)


async def test_where_work_takes_too_long_times_are_left_out(
    worker: Recomputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputer, "MOST_WORK_SECONDS", 0.1)
    found = await recompute(worker, a_model())
    assert 3 < len(found.evaluations) < 1000
    assert found.every_seconds > 300
    assert NOW - times_of(found)[0] > 4 * DAY
    assert NOW - times_of(found)[-1] < timedelta(minutes=6)


async def test_other_tasks_run_meanwhile(worker: Recomputer) -> None:
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    found = await recompute(worker, a_model())
    ended.set()
    await waiting
    assert len(found.evaluations) > 1000
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
    assert (await first).ended is Ended.PANES


async def test_a_model_that_is_lost_meanwhile_has_no_answer(worker: Recomputer) -> None:
    turns = iter([True, True, True])
    asked = Recompute(monitor=SHORT, since=NOW - 30 * DAY)
    with pytest.raises(Unavailable, match="another worker"):
        await worker.recompute_owned(a_model(), asked, lambda: next(turns, False))
    assert next(turns, None) is None


async def test_days_that_differ_have_a_design_effect(worker: Recomputer) -> None:
    asked = Recompute(monitor=MONITOR, since=NOW - DAY, most=1)
    alike = (await worker.recompute_owned(a_model(), asked, ours)).design_effects
    assert {each.signal for each in alike} == {"score", "prediction"}
    assert {each.blocks for each in alike} <= {7, 8}
    assert all(each.effect < 1.5 for each in alike)
    other = (await worker.recompute_owned(a_model(daily=0.1), asked, ours)).design_effects
    assert all(each.effect > 3 for each in other)


async def test_time_that_is_not_normal_is_no_block(worker: Recomputer) -> None:
    drift = ExcludedInterval(start=NOW - 5 * DAY, confirmed_at=NOW - 4.9 * DAY, end=NOW - 4.6 * DAY)
    monitor = MONITOR.model_copy(update={"normal_time": NormalTime(revision=2, excluded=(drift,))})
    asked = Recompute(monitor=monitor, since=NOW - DAY, most=1)
    assert (await worker.recompute_owned(a_model(), asked, ours)).design_effects[0].blocks in (6, 7)
