"""A topic deleted and recreated under the running service: what was counted stays, what comes is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS, Topic
from sentryml_common.service import EXIT_FAILED
from tests.integration.drift.conftest import Part, StartPart, event, produce, single_records
from tests.integration.drift.test_processor import activity_of
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics

LONG_AGO = datetime.fromtimestamp(0, UTC)


@pytest.fixture
async def kafka() -> AsyncIterator[OwnKafka]:
    """A Kafka of each test's own: other tests count on the topics of theirs."""
    async with own_kafka_with_topics() as own:
        yield own


async def delete(kafka: OwnKafka, topic: Topic) -> None:
    async with kafka_admin(kafka.bootstrap) as admin:
        await admin.delete_topics([topic.name])


async def until_counted(kafka: OwnKafka, model_id: str, count: int) -> None:
    """Wait until the processor reports exactly this number of events of the model."""
    found = 0

    async def counted() -> bool:
        nonlocal found
        activity = await activity_of(kafka, model_id, LONG_AGO)
        found = 0 if activity is None else sum(pane.count for pane in activity.coarse_panes)
        return found >= count

    await eventually(counted, what=f"{count} events to be counted")
    assert found == count


async def until_ended(part: Part) -> None:
    assert await asyncio.to_thread(part.process.wait, LONG_SECONDS) == EXIT_FAILED, part.log.read_text()
    assert "deleted or recreated; restarting with its new epoch" in part.log.read_text()


async def test_events_of_the_new_predictions_topic_are_counted_beside_those_of_the_old(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str, tmp_path: Path
) -> None:
    start("processor", state_dir=tmp_path / "state")
    combiner = start("combiner")
    await produce(producer, 0, *single_records([event(model_id, number) for number in range(700)]))
    await until_counted(kafka, model_id, 700)
    await delete(kafka, PREDICTIONS)
    await until_ended(combiner)
    combiner = start("combiner")  # creates the topic again
    await combiner.until_ready()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as second:
        await produce(second, 0, *single_records([event(model_id, number) for number in range(50)]))
        await until_counted(kafka, model_id, 750)
    assert await combiner.end(9) == -9  # what it has not committed it reads again
    start("combiner")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as third:
        await produce(third, 1, *single_records([event(model_id, number) for number in range(25)]))
    await until_counted(kafka, model_id, 775)


async def test_the_processor_takes_in_a_new_histograms_topic_from_its_start(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str, tmp_path: Path
) -> None:
    processor = start("processor", state_dir=tmp_path / "state")
    start("combiner")
    for first in range(0, 700, 100):  # so that the place in the old topic is far from its start
        await produce(producer, 0, *single_records([event(model_id, number) for number in range(first, first + 100)]))
        await until_counted(kafka, model_id, first + 100)
    await delete(kafka, HISTOGRAMS)
    await until_ended(processor)
    start("processor", state_dir=tmp_path / "state")
    await produce(producer, 0, *single_records([event(model_id, number) for number in range(50)]))
    await until_counted(kafka, model_id, 750)
