"""What an event costs the combiner, beside rivals that read the same records from the same Kafka in the same minute.

Each reader is a process of its own that reads `predictions.v1` from its start to its end, and says the CPU seconds
that took, from its first record on. The rivals:

    floor      aiokafka getmany and msgspec decode, nothing else: what no reader in Python can beat
    faust      a Faust agent that counts per event, as a tutorial would have it
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import faust
import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.drift.long_tail import ends
from bench.report import Figure, say
from sentryml_common.contracts.prediction import EventRow
from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.epochs import TopicIncarnation
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topic_ids import open_topic_ids
from sentryml_drift.combiner.loop import Combiner, group_of
from sentryml_drift.domain.chunks import ChunkRules
from sentryml_drift.domain.rows import PaneRules
from sentryml_drift.settings import DriftSettings
from sentryml_statistics.time.panes import PaneGrid
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics

MODELS = 50
ROUNDS = 3
READERS = {"floor": 1, "ours": 1, "faust": 10}
"""Each reads all events, or a fraction of them."""


async def fill(kafka: OwnKafka, records: int, events_per_record: int) -> None:
    """Produce key-less records of this number of events, of now."""
    rng, now = Random(1), time.time()

    def event() -> dict[str, object]:
        return {
            "model_id": f"model-{rng.randrange(MODELS)}",
            "prediction": rng.choice(["late", "on time"]),
            "score": rng.random(),
            "timestamp": round(now - 60 * rng.random(), 3),
        }

    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=20, max_batch_size=262_144) as producer:
        for number in range(records):
            events = [event() for _ in range(events_per_record)]
            value = orjson.dumps(events if events_per_record > 1 else events[0])
            await producer.send(PREDICTIONS.name, value, partition=number % PREDICTIONS.partitions)
        await producer.flush()


async def floor(bootstrap: str, total: int) -> None:
    """Read and decode, nothing else."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(PREDICTIONS.name, number) for number in range(PREDICTIONS.partitions)])
    await consumer.seek_to_beginning()
    one, many, seen = msgspec.json.Decoder(EventRow), msgspec.json.Decoder(list[EventRow]), 0
    while seen < total:
        for records in (await consumer.getmany(timeout_ms=100, max_records=5_000)).values():
            for record in records:
                seen += len(many.decode(record.value)) if record.value[:1] == b"[" else bool(one.decode(record.value))
    await consumer.stop()


async def ours(bootstrap: str, _: int) -> None:
    """The combiner itself, with all that it does, until it has read everything."""
    settings, health = DriftSettings(kafka_bootstrap=bootstrap), Health()
    async with open_topic_ids(settings, health) as ids, open_publisher(settings, health) as publisher:
        incarnation = await TopicIncarnation.begin(PREDICTIONS, ids, settings, health)
        own_group = os.getpid()  # the epoch names the group: one that has committed nothing yet
        rules = ChunkRules(PaneRules(PaneGrid(60.0), 35 * 86_400.0, 300.0), own_group)
        committed = partial(committed_offsets, group_of(own_group), settings, health)
        combiner = _Counting(settings, rules, incarnation, publisher, DeadLetters("bench", publisher), committed)
        combiner.remaining = await ends(bootstrap, PREDICTIONS)
        running = asyncio.create_task(combiner.run(health))
        await combiner.all_read.wait()
        running.cancel()


class _Counting(Combiner):
    """The combiner; it stops the clock when all records are read."""

    remaining = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.all_read = asyncio.Event()

    def _report(self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: list[Any]) -> None:
        super()._report(consumer, partition, records)
        self.remaining -= len(records)
        if self.remaining <= 0:
            self.all_read.set()


async def per_event(bootstrap: str, total: int) -> None:
    """A Faust agent that counts each event in a dictionary."""
    app = faust.App(
        "bench", broker=f"kafka://{bootstrap}", topic_allow_declare=False, topic_disable_leader=True,
        web_enabled=False, consumer_auto_offset_reset="earliest", worker_redirect_stdouts=False,
    )  # fmt: skip
    counts: Counter[tuple[str, str, int]] = Counter()
    done = asyncio.Event()

    async def count(stream: faust.StreamT) -> None:  # type: ignore[type-arg]
        async for value in stream:
            for event in value if isinstance(value, list) else [value]:
                pane = int(event["timestamp"]) // 60
                counts[event["model_id"], str(event["prediction"]), pane] += 1
                counts[event["model_id"], f"{event['score']:.2f}", pane] += 1
            if counts.total() >= 2 * total:
                done.set()

    app.agent(app.topic(PREDICTIONS.name, value_serializer="json"), name="count")(count)
    app.finalize()
    started = asyncio.create_task(app.start())
    await done.wait()
    await app.stop()
    await started


_READERS: dict[str, Callable[[str, int], Awaitable[None]]] = {"floor": floor, "ours": ours, "faust": per_event}


def read_as(reader: str, bootstrap: str, total: int) -> float:
    """CPU seconds that a reader takes, in a process of its own."""
    command = [sys.executable, "-m", "bench.drift.combiner", reader, bootstrap, str(total)]
    with TemporaryDirectory() as folder:
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd(), timeout=300,
                              env=os.environ | {"F_DATADIR": folder})  # fmt: skip
    return float(done.stdout.strip().split()[-1])


async def measure() -> list[Figure]:
    """Events per CPU second of every reader, of single events and of arrays."""
    figures = []
    for events_per_record, records in ((1, 200_000), (100, 6_000)):
        total = events_per_record * records
        async with own_kafka_with_topics() as kafka:
            await fill(kafka, records, events_per_record)
            rates: dict[str, list[float]] = {reader: [] for reader in READERS}
            for number in range(ROUNDS):
                for reader, fraction in READERS.items():
                    read = total // fraction
                    rate = read / await asyncio.to_thread(read_as, reader, kafka.bootstrap, read)
                    rates[reader].append(rate)
                    say(f"records of {events_per_record}, round {number + 1}: {reader} {rate:,.0f} events/s")
        best = {reader: sorted(found)[len(found) // 2] for reader, found in rates.items()}
        for reader in ("floor", "faust"):
            name = f"combiner, records of {events_per_record}: events/s/core, beside {reader}"
            figures.append(Figure(name, best["ours"], best[reader], best["ours"] / best[reader]))
    return figures


if __name__ == "__main__":
    begun = time.process_time()
    asyncio.run(_READERS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))  # type: ignore[arg-type]
    sys.stdout.write(f"{time.process_time() - begun}\n")
    sys.stdout.flush()
    os._exit(0)
