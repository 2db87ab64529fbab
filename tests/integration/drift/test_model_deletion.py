"""A model whose monitor is deleted is freed: its counts, its activity, its evaluations. New events start from zero."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, EVALUATIONS, MONITORS, TABLE_CHANGELOG, Topic
from sentryml_drift.state.table import PLACE, target_of
from tests.integration.drift.conftest import StartPart, event, produce
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

OLD, NEW = 300, 7


async def newest(kafka: OwnKafka, topic: Topic, model_id: str) -> Any:
    """The newest record of a topic about a model."""
    records = [each for each in await kafka.records(topic) if each.key == model_id.encode()]
    return records[-1] if records else None


async def kept(kafka: OwnKafka, model_id: str) -> int:
    """How many values of a model the processor's table holds."""
    table: dict[bytes, bytes | None] = {}
    for record in await kafka.records(TABLE_CHANGELOG):
        if record.key not in (None, PLACE):
            table[record.key] = record.value
    found = (target_of(key) for key, value in table.items() if value is not None)
    return sum(target is not None and target.model_id == model_id for target in found)


async def test_a_deleted_model_is_freed_and_comes_back_only_with_new_events(
    kafka: OwnKafka, start: StartPart, producer: AIOKafkaProducer, model_id: str
) -> None:
    old = [event(model_id, number, 100 + number) for number in range(OLD)]
    await produce(producer, 0, *(orjson.dumps(old[first : first + 10]) for first in range(0, OLD, 10)))
    monitor = Monitor(
        model_id=model_id, version=1, baseline_seconds=600, current_seconds=60, every_seconds=1, min_baseline_coverage=0
    )
    await producer.send_and_wait(MONITORS.name, encode(monitor), key=model_id.encode())
    start("combiner", fine_pane_seconds=1.0)
    start("processor", fine_pane_seconds=1.0)

    async def counted() -> bool:
        said = await newest(kafka, ACTIVITY, model_id)
        return said is not None and sum(pane.count for pane in decode(Activity, said.value).coarse_panes) == OLD

    async def evaluated() -> bool:
        return await newest(kafka, EVALUATIONS, model_id) is not None

    await eventually(counted, what="all events to be counted")
    await eventually(evaluated, what="the model to be evaluated")
    assert await kept(kafka, model_id) > 0
    await producer.send_and_wait(MONITORS.name, None, key=model_id.encode())
    deleted_at = datetime.fromtimestamp(time.time(), UTC)

    async def freed() -> bool:
        said = await newest(kafka, ACTIVITY, model_id)
        return said.value is None and await kept(kafka, model_id) == 0

    await eventually(freed, what="the model to be freed")
    await produce(producer, 0, *(orjson.dumps(event(model_id, number)) for number in range(NEW)))

    async def counted_again() -> Activity | None:
        said = await newest(kafka, ACTIVITY, model_id)
        return None if said.value is None else decode(Activity, said.value)

    activity = await eventually(counted_again, what="the new events to be counted")
    assert activity is not None
    assert activity.last_seen > deleted_at
    assert 0 < sum(pane.count for pane in activity.coarse_panes) <= NEW
    last = decode(Evaluation, (await newest(kafka, EVALUATIONS, model_id)).value)
    assert last.evaluated_at <= deleted_at, "nobody has asked for evaluations of the new model yet"
