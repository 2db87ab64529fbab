"""Installations that share a Kafka, each with a prefix of its own: neither counts, or keeps from counting, the other's
events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.topics import ACTIVITY, PREDICTIONS, PROCESSOR_APP, Topic
from sentryml_drift.combiner.loop import group_of
from tests.integration.drift.conftest import StartPart, event
from tests.support.eventually import eventually
from tests.support.kafka_admin import kafka_admin
from tests.support.own_kafka import OwnKafka

PREFIXES = {f"a{token_hex(3)}.": 30, f"b{token_hex(3)}-": 50}
"""The number of events that each installation gets."""


async def reported(kafka: OwnKafka, topic: Topic, model_id: str) -> list[int]:
    """The number of events of a model in each of its activity records."""
    records = [each for each in await kafka.records(topic) if each.key == model_id.encode()]
    return [sum(pane.count for pane in decode(Activity, each.value).fine_panes) for each in records]


async def groups_of(kafka: OwnKafka) -> set[str]:
    async with kafka_admin(kafka.bootstrap) as admin:
        return {group for group, *_ in await admin.list_consumer_groups()}


async def test_two_installations_count_their_own_events(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str, tmp_path: Path
) -> None:
    parts = [
        start(part, topic_prefix=prefix, state_dir=tmp_path / prefix)
        for prefix in PREFIXES
        for part in ("combiner", "processor")
    ]
    for part in parts:
        await part.until_ready()
    for prefix, number in PREFIXES.items():
        for index in range(number):
            await producer.send_and_wait(prefix + PREDICTIONS.name, orjson.dumps(event(model_id, index)))

    for prefix, number in PREFIXES.items():
        activity = replace(ACTIVITY, name=prefix + ACTIVITY.name)

        async def all_counted(activity: Topic = activity, number: int = number) -> bool:
            return number in await reported(kafka, activity, model_id)

        await eventually(all_counted, what=f"the {number} events of {prefix}")
        assert max(await reported(kafka, activity, model_id)) == number
    assert await reported(kafka, ACTIVITY, model_id) == []
    assert {prefix + group for prefix in PREFIXES for group in (PROCESSOR_APP, group_of(1))} <= await groups_of(kafka)
    assert [part.process.poll() for part in parts] == [None] * 4  # nobody was fenced off by the other
