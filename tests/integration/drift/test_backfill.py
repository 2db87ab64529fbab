"""Eight days of history sent at once: how events come does not change what is said of them.

Two models have the same events, both sent now: one in a burst of large records on one partition, in the order of
time; the other one by one and in small records, in no order, over all partitions.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation, Signal
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import DAY, Monitor
from sentryml_common.contracts.topics import ACTIVITY, EVALUATIONS, MONITORS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.follower import Follower
from sentryml_drift.evaluation.reporter import COARSE_PANES_SHOWN
from sentryml_statistics.time.panes import Resolution
from tests.integration.drift.conftest import GRID, StartPart, produce
from tests.integration.drift.test_processor import within
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

EVENTS = 4000
TOO_OLD, TOO_NEW = 3, 2
SPAN_SECONDS = 8.5 * DAY
LONGEST_WINDOW = 10 * DAY


def history(rng: random.Random, now: float) -> list[dict[str, Any]]:
    """In the order of time, the last quarter of them in the last three hours; the last day is another."""
    times = [now - rng.random() * (3 * 3600 if number % 4 == 0 else SPAN_SECONDS) for number in range(EVENTS)]
    return [
        {
            "prediction": rng.choice(("late", "on time") if at < now - DAY else ("late", "late", "early")),
            "score": round(rng.betavariate(2, 5 if at < now - DAY else 3), 3),
            "timestamp": round(at, 3),
        }
        for at in sorted(times)
    ]


def left_out(now: float) -> list[dict[str, Any]]:
    """Events too old and too far ahead to count."""
    times = [now - LONGEST_WINDOW - 60] * TOO_OLD + [now + 3600] * TOO_NEW
    return [{"prediction": "never", "score": 0.5, "timestamp": at} for at in times]


def batches(events: list[dict[str, Any]], rng: random.Random) -> Iterator[list[dict[str, Any]]]:
    """The same events in small batches."""
    first = 0
    while first < len(events):
        size = rng.choice([1, 1, 2, 7])
        yield events[first : first + size]
        first += size


class Listener:
    """What the processor says of some models: the newest activity of each, and all evaluations by their time."""

    def __init__(self, kafka: OwnKafka) -> None:
        self._kafka = kafka
        self.activity = Follower(ACTIVITY, Activity)
        self._evaluations = Follower(EVALUATIONS, Evaluation, self._keep)
        self.by_time: dict[float, dict[str, Evaluation]] = {}

    def _keep(self, model_id: str) -> None:
        found = self._evaluations.current[model_id]
        self.by_time.setdefault(found.evaluated_at.timestamp(), {})[model_id] = found

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.activity.run(self._kafka.settings, Health()))
            tasks.create_task(self._evaluations.run(self._kafka.settings, Health()))


async def test_a_burst_of_history_and_scattered_events_come_to_the_same(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, tmp_path: Path
) -> None:
    rng, now, mark = random.Random(19), time.time(), token_hex(4)
    events, unusable = history(rng, now), left_out(now)
    burst, scattered = (f"{name}-{mark}" for name in ("burst", "scattered"))
    for model_id in (burst, scattered):
        monitor = Monitor(model_id=model_id, version=1, every_seconds=1)
        await producer.send_and_wait(MONITORS.name, encode(monitor), key=model_id.encode())
    large = [events[first : first + 200] for first in range(0, EVENTS, 200)]
    await send(producer, burst, [*large, unusable], [0])
    shuffled = rng.sample([*events, *unusable], EVENTS + len(unusable))
    await send(producer, scattered, list(batches(shuffled, rng)), list(range(PREDICTIONS.partitions)))
    start("combiner", longest_window_seconds=LONGEST_WINDOW)
    start("processor", state_dir=tmp_path / "state")
    said = Listener(kafka)
    listening = asyncio.create_task(said.run())

    async def all_counted() -> bool:
        found = [said.activity.current.get(model_id) for model_id in (burst, scattered)]
        return all(each is not None and shown(each) == expected(events, each) for each in found)

    async def both_evaluated() -> dict[str, Evaluation] | None:
        of_both = (found for at, found in said.by_time.items() if at > complete and {burst, scattered} <= found.keys())
        return next(of_both, None)

    try:
        await eventually(all_counted, what="all events to be counted")
        complete = time.time()
        found = await eventually(both_evaluated, what="evaluations of both models at one time")
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        for model_id in (burst, scattered):
            await producer.send_and_wait(MONITORS.name, None, key=model_id.encode())
    assert found is not None
    assert_exact_and_telling(found[burst], events)
    for field in ("evaluated_at", "level", "reason", "baseline", "current", "signals"):
        assert getattr(found[burst], field) == getattr(found[scattered], field), field
    of_burst, of_scattered = (said.activity.current[model_id] for model_id in (burst, scattered))
    for field in ("first_seen", "last_seen", "late", "future", "recent"):
        assert getattr(of_burst, field) == getattr(of_scattered, field), field
    assert (of_burst.late, of_burst.future) == (TOO_OLD, TOO_NEW)


async def send(
    producer: AIOKafkaProducer, model_id: str, records: list[list[dict[str, Any]]], partitions: list[int]
) -> None:
    """Spread records over partitions."""
    values = [orjson.dumps([{"model_id": model_id, **each} for each in record]) for record in records]
    shares = [produce(producer, each, *values[place :: len(partitions)]) for place, each in enumerate(partitions)]
    await asyncio.gather(*shares)


def shown(activity: Activity) -> int:
    return sum(pane.count for pane in activity.coarse_panes)


def expected(events: list[dict[str, Any]], activity: Activity) -> int:
    """How many events lie in the panes that an activity shows."""
    first = GRID.pane_of(activity.at.timestamp(), Resolution.COARSE) + 1 - COARSE_PANES_SHOWN
    return sum(each["timestamp"] >= GRID.start_of(first, Resolution.COARSE) for each in events)


def assert_exact_and_telling(found: Evaluation, events: list[dict[str, Any]]) -> None:
    """The counts are those of the events in exactly the windows that are named, and there is something to see."""
    assert (found.reason, found.baseline.coverage, found.current.coverage) == (None, 1.0, 1.0)
    assert {signal.baseline_count for signal in found.signals} == {within(events, found.baseline)}
    assert {signal.current_count for signal in found.signals} == {within(events, found.current)}
    assert found.baseline.end - found.baseline.start > timedelta(days=6, hours=22)
    assert timedelta(minutes=-5) < found.current.end - found.evaluated_at <= timedelta()
    assert {signal.signal for signal in found.signals if signal.psi is not None and signal.psi > 0.05} == {*Signal}
