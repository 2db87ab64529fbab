"""Nothing that is sent stops the stream: whatever a combiner is sent, it stays in its group and counts new events."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import orjson
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.topics import DEAD_LETTERS, HISTOGRAMS
from sentryml_drift.domain.partials import Kind, Target, unpack_record
from tests.integration.drift.conftest import StartPart, event, produce
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka

EMPTY_OBJECTS = b"[" + b"{}," * 333_000 + b"{}]"
DAY = 86_400


def backfill(models: int, events: int) -> list[bytes]:
    """Records of 5,000 events each, of this number of models, spread evenly over 34 days."""
    rng, now = random.Random(5), time.time()
    return [
        orjson.dumps(
            [
                {
                    "model_id": f"backfilled-{rng.randrange(models)}",
                    "prediction": 1,
                    "timestamp": int(now - rng.random() * 34 * DAY),
                }
                for _ in range(5_000)
            ]
        )
        for _ in range(events // 5_000)
    ]


@dataclass
class Sent:
    """When the combiner has sent each partial of a coarse pane, and of which model: this test may read more slowly."""

    kafka: OwnKafka
    partials: list[tuple[int, Target]] = field(default_factory=list)
    records: int = 0

    async def read_on(self) -> list[tuple[int, Target]]:
        records = await self.kafka.records(HISTOGRAMS)
        self.partials += [
            (record.timestamp, partial.target)
            for record in records[self.records :]
            for partial in unpack_record(record.value)
            if partial.target.kind is Kind.COARSE
        ]
        self.records = len(records)
        return self.partials


async def test_a_large_backfill_and_records_of_empty_objects_hold_up_nobody(
    kafka: OwnKafka, producer: AIOKafkaProducer, start: StartPart, model_id: str
) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type="gzip", max_request_size=1_100_000
    ) as compressing:
        bad = await produce(compressing, 0, *[EMPTY_OBJECTS] * 7)
    combiner = start("combiner", session_timeout_seconds=6)
    await combiner.until_ready()
    records = list(backfill(models=1_000, events=80_000))
    panes = {(each["model_id"], each["timestamp"] // 3600) for record in records for each in orjson.loads(record)}
    await produce(producer, 0, *records)
    await produce(producer, 0, orjson.dumps(event(model_id, 1)))

    sent = Sent(kafka)

    async def all_is_counted() -> bool:
        counted = {(target.model_id, target.pane) for _, target in await sent.read_on()}
        return panes <= counted and any(model == model_id for model, _ in counted)

    await eventually(all_is_counted, what="the backfill and the new event to be counted")
    new = min(at for at, target in sent.partials if target.model_id == model_id)
    last = max(at for at, target in sent.partials if target.model_id != model_id)
    assert new < last, "a new event, the last in the log, is counted before the backfill is through"
    log = combiner.log.read_text()
    assert log.count("partitions_assigned") == 1, "it was never thrown out of its group"
    letters = [decode(DeadLetter, record.value) for record in await kafka.records(DEAD_LETTERS)]
    assert sorted(letter.offset for letter in letters if letter.partition == 0 and letter.offset in bad) == bad
