"""The hard case: ten thousand models, each with one key-less single-event record a second.

The real combiner and processor run beside a producer of that traffic; after a while of warming up, their CPU time and
the changelog's growth are measured over MEASURED_SECONDS of wall time.
"""

from __future__ import annotations

import asyncio
import time
from random import Random

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from bench.drift.workers import process_of, running_workers
from bench.report import Figure, cpu_of, say
from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS, TABLE_CHANGELOG, Topic
from tests.chaos.workers import Worker
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics

MODELS = 10_000
WARM_SECONDS, MEASURED_SECONDS = 60.0, 90.0
TICKS = 20


async def traffic(kafka: OwnKafka) -> None:
    """One event of each model a second, until cancelled; says nothing when it cannot keep up, but sends less.

    Records are put into batches here: one by one, the producer would take the core that the workers are to have.
    """
    rng = Random(1)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_batch_size=262_144) as producer:
        number, next_tick = 0, time.monotonic()
        while True:
            batches = [producer.create_batch() for _ in range(PREDICTIONS.partitions)]
            for _ in range(MODELS // TICKS):
                event = {
                    "model_id": f"model-{number % MODELS}",
                    "prediction": rng.choice(["late", "on time"]),
                    "score": rng.random(),
                    "timestamp": round(time.time(), 3),
                }
                batches[number % len(batches)].append(timestamp=None, key=None, value=orjson.dumps(event))
                number += 1
            for partition, batch in enumerate(batches):
                await producer.send_batch(batch, PREDICTIONS.name, partition=partition)
            next_tick += 1 / TICKS
            await asyncio.sleep(max(0.0, next_tick - time.monotonic()))


async def ends(bootstrap: str, topic: Topic) -> int:
    """How many offsets a topic has used."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        return sum((await consumer.end_offsets(partitions)).values())


async def unread(kafka: OwnKafka) -> dict[str, int]:
    """By group of the workers, how many records lie behind what it has committed."""
    consumer, admin = (kind(bootstrap_servers=kafka.bootstrap) for kind in (AIOKafkaConsumer, AIOKafkaAdminClient))
    await consumer.start()
    await admin.start()
    try:
        found = {}
        for group, _ in await admin.list_consumer_groups():
            committed = await admin.list_consumer_group_offsets(group)
            ends = await consumer.end_offsets(list(committed))
            found[group] = sum(ends[tp] - place.offset for tp, place in committed.items())
        return found
    finally:
        await admin.close()
        await consumer.stop()


async def measure() -> list[Figure]:
    """CPU of both processes in cores, events and changelog records a second, memory."""
    async with own_kafka_with_topics() as kafka:
        with running_workers(kafka, "SENTRYML_EMIT_SECONDS", "SENTRYML_BATCH_SECONDS") as workers:
            flowing = asyncio.create_task(traffic(kafka))
            try:
                return await _measured(kafka, workers)
            finally:
                flowing.cancel()


async def _measured(kafka: OwnKafka, workers: list[Worker]) -> list[Figure]:
    processes = {worker.name: process_of(worker) for worker in workers}
    say(f"long tail: warming up for {WARM_SECONDS:.0f} s")
    await asyncio.sleep(WARM_SECONDS)
    begun, before = time.monotonic(), {name: cpu_of(process) for name, process in processes.items()}
    topics = PREDICTIONS, HISTOGRAMS, TABLE_CHANGELOG
    first, behind = {topic.name: await ends(kafka.bootstrap, topic) for topic in topics}, await unread(kafka)
    say(f"long tail: measuring for {MEASURED_SECONDS:.0f} s")
    await asyncio.sleep(MEASURED_SECONDS)
    seconds = time.monotonic() - begun
    figures = [
        Figure(f"long tail: cores of {name}", (cpu_of(process) - before[name]) / seconds)
        for name, process in processes.items()
    ]
    for topic in topics:
        rate = (await ends(kafka.bootstrap, topic) - first[topic.name]) / seconds
        figures.append(Figure(f"long tail: records/s of {topic.name}", rate))
    for group, records in (await unread(kafka)).items():
        figures.append(Figure(f"long tail: records behind, {group}, at the start", behind[group]))
        figures.append(Figure(f"long tail: records behind, {group}, at the end", records))
    for name, process in processes.items():
        figures.append(Figure(f"long tail: MB of {name}", process.memory_info().rss / 1024**2))
    return figures
