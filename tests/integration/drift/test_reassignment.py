"""Processors come and go while events flow: each model has one owner at a time, and no event is lost or doubled.

What: one processor keeps its tables in RocksDB, one in memory. The second joins the first; the first is ended and
comes back, to the tables that it has left behind; then the second is killed. So each store gains and loses
partitions, and goes on with what the other has written. How: after each step the workers' logs say who keeps which
partition; one owner reports a model at most once an interval, two would not keep to that; at the end the counts are
held against what was produced.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, EVALUATIONS, HISTOGRAMS, MONITORS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.follower import Follower
from sentryml_drift.domain.partials import partition_of
from tests.integration.drift.conftest import Part, StartPart, event
from tests.integration.drift.test_processor import within
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

FINE_SECONDS, ACTIVITY_SECONDS = 1.0, 0.5
MODELS_PER_PARTITION = 2
REPORTS = 3
CLOCK_SECONDS = 0.001
"""What a time loses on its way through JSON."""


def spread_models() -> list[str]:
    """As many of every partition of the histograms."""
    found: dict[int, list[str]] = {partition: [] for partition in range(HISTOGRAMS.partitions)}
    mark, numbers = token_hex(4), count()
    while any(len(models) < MODELS_PER_PARTITION for models in found.values()):
        model_id = f"model-{mark}-{next(numbers)}"
        models = found[partition_of(model_id, HISTOGRAMS.partitions)]
        if len(models) < MODELS_PER_PARTITION:
            models.append(model_id)
    return [model_id for models in found.values() for model_id in models]


class Scene:
    """Models with their monitors, their events as sent, and what the processors say of them."""

    def __init__(self, kafka: OwnKafka, producer: AIOKafkaProducer) -> None:
        self._kafka, self._producer, self._rng = kafka, producer, random.Random(7)
        self._enough = asyncio.Event()
        self.models = spread_models()
        self.events: dict[str, list[dict[str, Any]]] = {model_id: [] for model_id in self.models}
        self.reported: defaultdict[str, list[Activity]] = defaultdict(list)
        self.evaluated: defaultdict[str, list[Evaluation]] = defaultdict(list)
        self._activity = Follower(ACTIVITY, Activity, self._hear_activity)
        self._evaluations = Follower(
            EVALUATIONS,
            Evaluation,
            lambda model_id: self.evaluated[model_id].append(self._evaluations.current[model_id]),
        )

    def _hear_activity(self, model_id: str) -> None:
        activity = self._activity.current.get(model_id)
        if activity is not None:  # a model of another test was deleted
            self.reported[model_id].append(activity)

    async def listen(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._activity.run(self._kafka.settings, Health()))
            tasks.create_task(self._evaluations.run(self._kafka.settings, Health()))

    async def flow(self) -> None:
        """Send events of every model several times a second, on any partition, until stopped."""
        while not self._enough.is_set():
            await asyncio.gather(*[self._send(model_id) for model_id in self.models])
            await asyncio.sleep(0.25)

    async def end_flow(self, flowing: asyncio.Task[None]) -> None:
        self._enough.set()
        await flowing

    async def _send(self, model_id: str) -> None:
        # Few panes, new and old: a pane touched is a write, and other tests want the processor as well.
        events = [event(model_id, self._rng.randrange(10**6), self._rng.choice([0, 0, 90])) for _ in range(5)]
        await self._producer.send_and_wait(PREDICTIONS.name, orjson.dumps(events))
        self.events[model_id] += events

    async def watch(self) -> None:
        """Publish a monitor of every model, with short windows."""
        for model_id in self.models:
            monitor = Monitor(
                model_id=model_id, version=1, baseline_seconds=240, current_seconds=120, every_seconds=1,
                min_baseline_coverage=0,
            )  # fmt: skip
            await self._producer.send_and_wait(MONITORS.name, encode(monitor), key=model_id.encode())

    async def unwatch(self) -> None:
        for model_id in self.models:
            await self._producer.send_and_wait(MONITORS.name, None, key=model_id.encode())

    def reports_since(self, model_id: str, since: datetime) -> list[datetime]:
        return [each.at for each in self.reported[model_id] if each.at >= since]

    def counted(self) -> dict[str, int]:
        """Events by model, as reported last."""
        return {
            model_id: sum(pane.count for pane in reports[-1].coarse_panes)
            for model_id, reports in self.reported.items()
            if model_id in self.events
        }

    def exactly_evaluated(self, model_id: str, since: datetime) -> bool:
        """Whether an evaluation of after `since` counted what lies in its windows."""
        events = self.events[model_id]
        return any(
            {signal.baseline_count for signal in each.signals} == {within(events, each.baseline)}
            and {signal.current_count for signal in each.signals} == {within(events, each.current)} != {0}
            for each in self.evaluated[model_id]
            if each.evaluated_at >= since
        )


@pytest.fixture
async def scene(kafka: OwnKafka, producer: AIOKafkaProducer) -> AsyncIterator[Scene]:
    made = Scene(kafka, producer)
    await made.watch()
    listening = asyncio.create_task(made.listen())
    yield made
    heard_to_the_end = not listening.done()
    listening.cancel()
    (ended,) = await asyncio.gather(listening, return_exceptions=True)
    await made.unwatch()
    assert heard_to_the_end, ended


def assignments(part: Part) -> list[frozenset[int]]:
    """The partitions that a processor was given, at each balance of the group, by its log."""
    assert part.process.poll() is None, part.log.read_text()
    said = [orjson.loads(line) for line in part.log.read_text().splitlines() if '"partitions_assigned"' in line]
    return [frozenset(line["partitions"]) for line in said]


async def until_shared(parts: list[Part]) -> list[list[frozenset[int]]]:
    """Wait until all partitions are given out, each to one of `parts`, and each has some; return what was given."""

    async def shared() -> list[list[frozenset[int]]]:
        given = [assignments(part) for part in parts]
        kept = [partition for each in given if each for partition in each[-1]]
        whole = sorted(kept) == list(range(HISTOGRAMS.partitions))
        return given if whole and all(each and each[-1] for each in given) else []

    return await eventually(shared, what=f"{len(parts)} processors to share the partitions")


async def assert_one_owner_each(scene: Scene, parts: list[Part]) -> None:
    """While the group rests, each model is reported by one owner only, and evaluated."""

    async def said_enough() -> bool:
        return all(
            len(scene.reports_since(model_id, since)) >= REPORTS
            and any(each.evaluated_at >= since for each in scene.evaluated[model_id])
            for model_id in scene.models
        )

    given: list[list[frozenset[int]]] = []
    while given != [assignments(part) for part in parts]:  # until the group has rested all the time
        given = await until_shared(parts)
        since = datetime.fromtimestamp(time.time(), UTC)
        await eventually(said_enough, what="each model to be reported and evaluated")
    for model_id in scene.models:
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(scene.reports_since(model_id, since))]
        assert min(gaps) >= ACTIVITY_SECONDS - CLOCK_SECONDS, f"{model_id} is reported by two: {gaps}"


async def test_processors_join_leave_and_die_while_events_flow(scene: Scene, start: StartPart, tmp_path: Path) -> None:
    settings = {"fine_pane_seconds": FINE_SECONDS, "activity_seconds": ACTIVITY_SECONDS}
    start("combiner", fine_pane_seconds=FINE_SECONDS)
    flowing = asyncio.create_task(scene.flow())
    try:
        first = start("processor", store="rocksdb", state_dir=tmp_path / "first", **settings)
        await until_shared([first])
        second = start("processor", store="memory", state_dir=tmp_path / "second", **settings)
        await assert_one_owner_each(scene, [first, second])
        assert await first.end(signal.SIGTERM) == 0
        again = start("processor", store="rocksdb", state_dir=tmp_path / "first", **settings)
        await assert_one_owner_each(scene, [again, second])
        assert await second.end(signal.SIGKILL) == -signal.SIGKILL
        await assert_one_owner_each(scene, [again])
    finally:
        await scene.end_flow(flowing)
    ended = datetime.fromtimestamp(time.time(), UTC)

    async def all_counted() -> bool:
        return scene.counted() == {model_id: len(events) for model_id, events in scene.events.items()}

    async def all_evaluated() -> bool:
        return all(scene.exactly_evaluated(model_id, ended) for model_id in scene.models)

    await eventually(all_counted, what="all events to be counted, each once")
    await eventually(all_evaluated, what="exact evaluations of all models")
