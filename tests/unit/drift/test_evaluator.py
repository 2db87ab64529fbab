"""Which evaluations are said to have been left out: those that were due and were not made, and no others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest
from prometheus_client import REGISTRY

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.kafka.producer import Record
from sentryml_drift import event_loop_slices
from sentryml_drift.domain.chunked_sum import ChunkedSum
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.evaluation.evaluator import Evaluator
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.models import FACTS, OwnedModel, OwnedModels
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.local_copy import MemoryStore
from sentryml_drift.state.partition_writer import Changelog
from sentryml_drift.state.table import Place, Table
from sentryml_statistics.time.panes import PaneGrid
from tests.unit.drift.test_processor import Worker, one

START = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
EVERY = 60.0


class Scene:
    """A partition with one model and its monitor, and what its evaluator publishes. The partition was evaluated until
    START, by an earlier owner; it is evaluated again an hour later."""

    def __init__(self, first_seen: float = START - 24 * HOUR, recovered: bool = True) -> None:
        self.models, self.published = OwnedModels(), 0
        self.model = self.models.by_id["model"] = OwnedModel(0, recovered=recovered)
        facts = ModelFacts(first_seen, START)
        self.model.put(FACTS, ChunkedSum((facts.pack(),)).pack())
        self.monitor = Monitor(model_id="model", version=1, every_seconds=EVERY)
        self.in_force_since = START - 24 * HOUR
        self.log_read_until: float | None = None
        self.now = START + HOUR
        self.table = Table(cast(Changelog, None), MemoryStore(), epoch=1)
        self.table.place = Place(1, 0, START)
        settings = DriftSettings(kafka_bootstrap="nowhere:1", allowed_lateness_seconds=0)
        self.evaluator = Evaluator(
            cast(Processor, self),
            lambda _: self.monitor,
            lambda _: self.in_force_since,
            lambda _: None,
            PaneGrid(60.0),
            settings,
            lambda: datetime.fromtimestamp(self.now, UTC),
        )

    def read_until(self, _: int) -> float | None:
        return self.log_read_until

    async def publish(self, _: int, records: list[Record], evaluated_until: float) -> None:
        self.published += len(records)
        self.table.place = Place(1, 0, evaluated_until)

    async def skipped(self) -> int:
        """How many the next round says are left out."""
        before, published = _counter(), self.published
        await self.evaluator._round(0, self.table, self.now)
        assert self.published == published + 1, "the newest is made"
        return round(_counter() - before)


def _counter() -> float:
    return REGISTRY.get_sample_value("sentryml_drift_evaluations_skipped_total") or 0.0


async def test_those_of_an_hour_without_a_worker_are_skipped() -> None:
    assert await Scene().skipped() == HOUR / EVERY - 1


async def test_none_was_due_before_the_monitor_was_made_or_changed() -> None:
    scene = Scene()
    scene.in_force_since = START + HOUR - 10 * EVERY
    assert await scene.skipped() in (8, 9)
    scene = Scene()
    scene.in_force_since = START + HOUR
    assert await scene.skipped() == 0


async def test_a_shorter_interval_makes_none_due_before_it() -> None:
    scene = Scene()
    assert await scene.skipped() == HOUR / EVERY - 1
    scene.now += 10 * EVERY
    scene.monitor = Monitor(model_id="model", version=2, every_seconds=1)
    scene.in_force_since = scene.now - 3
    assert await scene.skipped() <= 2


async def test_none_was_due_before_the_first_event() -> None:
    assert await Scene(first_seen=START + HOUR - 5 * EVERY).skipped() in (3, 4)


async def test_of_a_model_that_was_not_in_the_table_none_was_due_while_no_worker_had_it() -> None:
    """Its history may have been sent just now."""
    assert await Scene(recovered=False).skipped() == 0


@pytest.mark.parametrize("recovered", [True, False])
async def test_what_a_round_had_no_time_for_is_skipped(recovered: bool) -> None:
    scene = Scene(recovered=recovered)
    await scene.skipped()
    scene.now += 5 * EVERY
    assert await scene.skipped() == 4


async def test_where_nothing_was_due_for_long_nothing_is_skipped() -> None:
    """The partition's models were without a monitor, so that nothing was published."""
    scene = Scene()
    await scene.skipped()
    watched, scene.monitor = scene.monitor, scene.monitor.model_copy(update={"enabled": False})
    for _ in range(10):
        scene.now += EVERY
        await scene.evaluator._round(0, scene.table, scene.now)
    scene.monitor = watched
    scene.now += EVERY
    assert await scene.skipped() == 0


async def test_it_evaluates_until_the_end_of_its_input_was_asked_for_that_it_has_reached() -> None:
    """Not until now: after a pause of the process, what came meanwhile has not been taken in."""
    worker, now = Worker(), START
    await worker.begin()
    settings = DriftSettings(kafka_bootstrap="nowhere:1", allowed_lateness_seconds=7)
    evaluator = Evaluator(
        worker.processor,
        lambda _: None,
        lambda _: None,
        lambda _: None,
        PaneGrid(60.0),
        settings,
        lambda: datetime.fromtimestamp(now, UTC),
    )
    assert await evaluator._complete_until() is None, "nothing was asked for yet"
    now += 1
    assert await evaluator._complete_until() == START - 7
    worker.stream.end = {0: 2}
    now += HOUR
    assert await evaluator._complete_until() == START + 1 - 7
    for record in map(one, range(2)):
        now += 1
        assert await evaluator._complete_until() is None
        await worker.take(record)
    assert await evaluator._complete_until() == START + 1 + HOUR - 7
    await worker.begin([0, 1])
    assert await evaluator._complete_until() is None, "the end of the other partition was not asked for"


async def test_a_round_over_many_models_gives_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.models.by_id |= {f"model-{number}": OwnedModel(0) for number in range(100)}
    monkeypatch.setattr(event_loop_slices, "SLICE_SECONDS", 0.0)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await scene.skipped()
    task.cancel()
    assert turns > 100
