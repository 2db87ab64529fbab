"""A partition that goes to another combiner is let go: nobody seeks in it, or says how far behind it is."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import Unavailable
from sentryml_common.metrics import CONSUMER_LAG
from sentryml_drift.combiner.loop import group_of
from tests.support.memory_log import Chances, MemoryLog
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.drift.test_combiner_schedules import NOON, TOPICS, Worker

WHY = "Kafka does not say which topic it is"


class Waiting(Worker):
    """A combiner that waits for an answer to some question of its own while `answering` is not set; its next emission
    fails if it `fails`."""

    def __init__(self, log: MemoryLog, question: str) -> None:
        self._question, self.answering = question, asyncio.Event()
        self.asked = self.fails = False
        self.answering.set()
        super().__init__(log)

    async def _check(self) -> None:
        await self._wait_for("incarnation")
        failed, self.fails = self.fails, False
        if failed:
            raise Unavailable(WHY)

    async def _committed(self) -> dict[Any, Any]:
        found = await super()._committed()
        await self._wait_for("committed")
        return found

    async def _wait_for(self, question: str) -> None:
        if question == self._question:
            self.asked = not self.answering.is_set()
            await self.answering.wait()


def write(log: MemoryLog) -> None:
    """An event in each partition."""
    for topic in TOPICS:
        log.create(topic.name, topic.partitions)
    for number in range(PREDICTIONS.partitions):
        event = orjson.dumps({"model_id": "a", "prediction": 1.0})
        log.append(PREDICTIONS.name, event, partition=number, timestamp=NOON * 1000)


async def losing(log: MemoryLog, question: str) -> None:
    """An emission fails, and partitions go to a second combiner while the first one waits for an answer."""
    write(log)
    first = Waiting(log, question)
    await asyncio.sleep(10)
    (consumer,), all_of_them = first.consumers, first.consumers[0].assignment()
    first.answering.clear()
    first.fails = True
    await asyncio.sleep(10)
    assert first.asked
    second = Worker(log)
    await asyncio.sleep(20)
    assert set() < consumer.assignment() < all_of_them
    first.answering.set()
    await asyncio.sleep(10)
    assert first.consumers == [consumer], "it goes on with the consumer that it has"
    assert first.health.waiting_for == {}
    for worker in (first, second):
        worker.kill()


@pytest.mark.parametrize("question", ["incarnation", "committed"])
def test_what_has_gone_to_another_is_left_alone_after_a_failure(question: str) -> None:
    with capture_logs() as logged:
        run_in_virtual_time(losing(MemoryLog(1, Chances(longest_pause=0.01)), question))
    assert [line["why"] for line in logged if line["event"] == "emission_failed"] == [WHY]


def shown() -> set[int]:
    """The partitions whose lag is shown."""
    samples = [sample for metric in CONSUMER_LAG.collect() for sample in metric.samples]
    return {int(each.labels["partition"]) for each in samples if each.labels["topic"] == PREDICTIONS.name}


async def losing_to_one_who_shows_none(log: MemoryLog) -> None:
    write(log)
    first = Worker(log)
    await asyncio.sleep(10)
    assert shown() == set(range(PREDICTIONS.partitions))
    await log.consumer(PREDICTIONS.name, group_id=group_of(1)).start()
    await asyncio.sleep(20)
    kept = {each.partition for each in first.consumers[0].assignment()}
    assert len(kept) < PREDICTIONS.partitions
    assert shown() <= kept
    first.kill()


def test_the_lag_of_what_has_gone_to_another_is_no_longer_shown() -> None:
    run_in_virtual_time(losing_to_one_who_shows_none(MemoryLog(1, Chances(longest_pause=0.01))))
