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


def a_model(days: int = 30) -> OwnedModel:
    """A model with events in each hour of the last nine days, and more before that are not kept."""
    rng, model = np.random.default_rng(1), OwnedModel(0)
    facts = ModelFacts((NOW - days * DAY).timestamp(), NOW.timestamp())
    model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
    newest = GRID.pane_of(NOW.timestamp(), Resolution.COARSE)
    for hour in range(9 * 24):
        scores = rng.beta(2, 5, 100).tolist()
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
    return await recomputer.recompute_owned(model, asked, found.append, ours), found


async def test_it_goes_back_as_far_as_panes_reach(worker: Recomputer) -> None:
    ended, found = await recompute(worker, a_model())
    times = [each.evaluation.evaluated_at for each in found]
    assert ended is Ended.PANES
    assert {later - earlier for later, earlier in pairwise(times)} == {timedelta(minutes=5)}
    # 8 days and up to two panes are kept for the monitor in force, and these windows need four days of them
    assert 4 * DAY < NOW - times[-1] < 4 * DAY + timedelta(hours=2)
    assert all(each.evaluation.level != "insufficient_data" for each in found)
    assert all(signal.bins == () for each in found for signal in each.evaluation.signals)


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
