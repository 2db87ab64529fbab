"""The number of partitions: that of the predictions topic may grow while all runs, that of internal ones never."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.topics import ACTIVITY, HISTOGRAMS, PREDICTIONS, TABLE_CHANGELOG, Topic
from sentryml_common.errors import EXIT_CONFIGURATION
from sentryml_common.health import Health
from sentryml_common.kafka.follower import Follower
from tests.integration.drift.conftest import StartPart, event, produce, single_records
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics

GROWN = 6
MODELS = [f"model-{number}" for number in range(5)]


@pytest.fixture(scope="module")
async def kafka() -> AsyncIterator[OwnKafka]:
    """A Kafka of this file's own: other tests count on the partitions of theirs."""
    async with own_kafka_with_topics() as own:
        yield own


@pytest.fixture
async def producer(kafka: OwnKafka) -> AsyncIterator[AIOKafkaProducer]:
    """One that finds new partitions soon."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, acks="all", linger_ms=5, metadata_max_age_ms=500
    ) as own:
        yield own


async def grow(kafka: OwnKafka, topic: Topic, partitions: int) -> None:
    async with kafka_admin(kafka.bootstrap) as admin:
        await admin.create_partitions({topic.name: NewPartitions(partitions)})


class Flow:
    """Events of all models, with and without keys, one or several a record, until stopped."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer, self._rng, self._number = producer, random.Random(46), 0
        self._enough = asyncio.Event()
        self.sent: Counter[str] = Counter()
        self.records: Counter[int] = Counter()

    async def run(self) -> None:
        while not self._enough.is_set():
            await asyncio.gather(*[self._send() for _ in range(20)])
            await asyncio.sleep(0.05)

    def end(self) -> None:
        self._enough.set()

    async def _send(self) -> None:
        model_id, size = self._rng.choice(MODELS), self._rng.choice([1, 1, 3])
        events = [event(model_id, self._number + each) for each in range(size)]
        self._number += size
        key = self._rng.choice([None, b"one key", model_id.encode()])
        sent = await self._producer.send_and_wait(PREDICTIONS.name, orjson.dumps(events), key=key)
        self.sent[model_id] += size
        self.records[sent.partition] += 1


async def test_events_of_new_partitions_are_counted_while_all_runs(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, tmp_path: Path
) -> None:
    flow, activity = Flow(producer), Follower(ACTIVITY, Activity)
    combiners = [start("combiner", soon=True) for _ in range(2)]
    parts = [start("processor", state_dir=tmp_path / "state"), *combiners]
    for part in parts:
        await part.until_ready()

    def counted() -> dict[str, int]:
        return {model_id: sum(p.count for p in found.coarse_panes) for model_id, found in activity.current.items()}

    async def all_seen() -> bool:
        return len(activity.current) == len(MODELS)

    async def all_counted() -> bool:
        return counted() == flow.sent

    async def new_partitions_are_used() -> bool:
        return all(flow.records[partition] > 20 for partition in range(GROWN))

    following, flowing = asyncio.create_task(activity.run(kafka.settings, Health())), asyncio.create_task(flow.run())
    try:
        await eventually(all_seen, what="all models to be seen")
        await grow(kafka, PREDICTIONS, GROWN)
        await eventually(new_partitions_are_used, what="records in the new partitions")
        flow.end()
        await flowing
        await eventually(all_counted, what=f"exactly {dict(flow.sent)}")
        # What one new partition alone holds, once the group has it.
        for partition in (4, 5):
            await produce(producer, partition, *single_records([event(MODELS[0], n) for n in range(30)]))
            flow.sent[MODELS[0]] += 30
        await eventually(all_counted, what=f"exactly {dict(flow.sent)}")
    finally:
        flow.end()
        following.cancel()
        await asyncio.gather(following, flowing, return_exceptions=True)
    assert all(part.process.poll() is None for part in parts), "nothing had to be started again"


async def test_another_number_of_partitions_of_internal_topics_is_refused_at_start(
    kafka: OwnKafka, start: StartPart, tmp_path: Path
) -> None:
    """The last one: nothing starts on this Kafka any more."""
    for topic in (HISTOGRAMS, TABLE_CHANGELOG):
        await grow(kafka, topic, GROWN)
    for part in (start("combiner"), start("processor", state_dir=tmp_path / "state")):
        assert await asyncio.to_thread(part.process.wait, LONG_SECONDS) == EXIT_CONFIGURATION, part.log.read_text()
        log = part.log.read_text()
        (line,) = [line for line in log.splitlines() if "invalid_configuration" in line]
        for topic in (HISTOGRAMS, TABLE_CHANGELOG):
            assert f"{topic.name}: has {GROWN} partitions, needs {topic.partitions}" in line
        assert "delete the topic" in line
        assert "TOPICS_CREATE" not in line, "none is missing"
        assert "Traceback" not in log
