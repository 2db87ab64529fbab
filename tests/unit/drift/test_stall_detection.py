"""Input that waits without being emitted is said on `/readyz`, and ends the process when it has waited too long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_drift.combiner.stall_detection import REPORTED_AFTER_SECONDS, Progress
from sentryml_drift.watchdog import WATCH_SECONDS, Stalled
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.drift.test_combiner_schedules import NOON, SETTINGS, TOPICS, Worker

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Watched:
    """Progress with a clock of its own, compared every five seconds."""

    def __init__(self, stall_seconds: float = 60.0) -> None:
        self.health, self.now = Health(), NINE
        self.health.ready("start")
        self.progress = Progress(self.health, stall_seconds, lambda: self.now)

    def wait(self, seconds: float, ends: dict[int, int]) -> None:
        for _ in range(int(seconds / 5)):
            self.now += timedelta(seconds=5)
            self.progress.compare(ends)


def test_input_that_is_emitted_in_time_is_not_spoken_of() -> None:
    watched = Watched()
    for offset in range(100, 2_000, 100):
        watched.wait(15, {0: offset + 50})
        watched.progress.emitted({0: offset})
        assert watched.health.waiting_for == {}


def test_input_that_waits_is_said_with_its_number_and_since_when_until_it_is_emitted() -> None:
    watched = Watched()
    watched.progress.emitted({0: 100, 1: 7})
    watched.wait(REPORTED_AFTER_SECONDS, {0: 140, 1: 7})
    assert watched.health.waiting_for == {}
    watched.wait(5, {0: 150, 1: 9})
    expected = "52 records wait, and none has been counted since 09:00:05 UTC"
    assert watched.health.waiting_for == {"input": expected}
    watched.progress.emitted({0: 150, 1: 9})
    watched.wait(5, {0: 150, 1: 9})
    assert watched.health.waiting_for == {}


def test_a_worker_that_emits_nothing_while_input_waits_is_ended() -> None:
    watched = Watched(stall_seconds=60)
    watched.wait(60, {0: 140})
    with pytest.raises(Stalled, match="140 records of input are waiting"):
        watched.wait(30, {0: 140})


def test_a_backlog_that_shrinks_slowly_ends_nobody() -> None:
    watched = Watched(stall_seconds=30)
    for offset in range(10, 1_000, 10):
        watched.wait(25, {0: 1_000_000})
        watched.progress.emitted({0: offset})


def test_emissions_in_which_nothing_moves_are_said_to_stand_still() -> None:
    watched = Watched()
    watched.progress.emitted({0: 100})
    for _ in range(10):
        watched.wait(5, {0: 140})
        watched.progress.emitted({0: 100})
    assert "40 records wait" in watched.health.waiting_for["input"]


def test_a_long_emission_is_no_standstill() -> None:
    watched = Watched(stall_seconds=30)
    for _ in range(20):
        watched.wait(25, {0: 1_000_000})
        watched.progress.published()


async def stalling(log: MemoryLog) -> None:
    """Kafka answers nobody who writes to the histograms."""
    for topic in TOPICS:
        log.create(topic.name, topic.partitions)
    log.append(PREDICTIONS.name, orjson.dumps({"model_id": "a", "prediction": 1.0}), partition=0, timestamp=NOON * 1000)
    log.hold(HISTOGRAMS.name)
    worker = Worker(log)
    await asyncio.sleep(REPORTED_AFTER_SECONDS + 3 * WATCH_SECONDS)
    assert "1 records wait" in worker.health.waiting_for["input"]
    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(worker.running, SETTINGS.stall_seconds)
    assert ended.value.subgroup(Stalled)


def test_a_combiner_from_which_kafka_takes_nothing_says_so_and_ends() -> None:
    run_in_virtual_time(stalling(MemoryLog(1, Chances(longest_pause=0.01))))
