"""An honest backfill beside live traffic: is a new event still counted soon, and what does that take?

    python -m bench.drift.backfill

The real combiner and processor run while 840,000 events of 35 days arrive at once, one of each hour of 1,000 models
with a baseline of 34 days. Every few seconds a model that nobody knows sends its first event; it is visible when its
activity is reported.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.drift.workers import metric_of, process_of, running_workers
from bench.report import Figure, say, show
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import ACTIVITY, MONITORS, PREDICTIONS
from tests.chaos.workers import Worker
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics

MODELS, DAYS, EVENTS_PER_RECORD = 1_000, 35, 5_000
CANARY_EVERY_SECONDS = 5.0
DAY = 86_400


def backfill(now: float) -> list[bytes]:
    """One event of each model and hour, in no order."""
    events = [
        (f"backfilled-{model}", int(now) - 1800 - hour * 3600) for model in range(MODELS) for hour in range(DAYS * 24)
    ]
    random.Random(5).shuffle(events)
    return [
        orjson.dumps(
            [
                {"model_id": name, "prediction": 1, "timestamp": at}
                for name, at in events[first : first + EVENTS_PER_RECORD]
            ]
        )
        for first in range(0, len(events), EVENTS_PER_RECORD)
    ]


async def send(kafka: OwnKafka, producer: AIOKafkaProducer) -> None:
    """Set the monitors, then send the backfill."""
    for model in range(MODELS):
        monitor = Monitor(model_id=f"backfilled-{model}", version=1, baseline_seconds=34 * DAY)
        await producer.send(MONITORS.name, encode(monitor), monitor.model_id.encode())
    for number, record in enumerate(backfill(time.time())):
        await producer.send(PREDICTIONS.name, record, partition=number % PREDICTIONS.partitions)
    await producer.flush()


class Canaries:
    """Models with one event each, and how long after it they were reported."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    async def sing(self, producer: AIOKafkaProducer) -> None:
        """Send one every few seconds, until cancelled."""
        while True:
            name = f"canary-{len(self.sent)}"
            value = orjson.dumps({"model_id": name, "prediction": 1, "timestamp": round(time.time(), 3)})
            self.sent[name] = time.monotonic()
            await producer.send_and_wait(PREDICTIONS.name, value)
            await asyncio.sleep(CANARY_EVERY_SECONDS)

    async def watch(self, kafka: OwnKafka) -> None:
        """Note when each is reported, until cancelled."""
        async with AIOKafkaConsumer(ACTIVITY.name, bootstrap_servers=kafka.bootstrap, group_id=None) as consumer:
            async for record in consumer:
                name = (record.key or b"").decode()
                if name in self.sent:
                    self.seconds.setdefault(name, time.monotonic() - self.sent[name])


async def measure() -> list[Figure]:
    """The longest wait of a new event, the combiner's memory, rebalances, and how long the backfill takes."""
    defaults = ("SENTRYML_EMIT_SECONDS", "SENTRYML_BATCH_SECONDS", "SENTRYML_SESSION_TIMEOUT_SECONDS")
    async with own_kafka_with_topics() as kafka:
        with running_workers(kafka, *defaults) as workers:
            return await _measured(kafka, workers)


async def _measured(kafka: OwnKafka, workers: list[Worker]) -> list[Figure]:
    combiner, canaries, memory = next(each for each in workers if "combiner" in each.name), Canaries(), 0
    waiting = partial(metric_of, combiner.url, "sentryml_drift_backfilled_waiting")
    process, begun, seen = process_of(combiner), time.monotonic(), False
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=1_000_000) as producer:
        tasks = [asyncio.create_task(canaries.watch(kafka)), asyncio.create_task(canaries.sing(producer))]
        await send(kafka, producer)
        say(f"backfill: {MODELS * DAYS * 24:,} events sent")
        while not seen or await waiting() != 0 or len(canaries.seconds) < len(canaries.sent) - 1:
            seen = seen or bool(await waiting())
            memory = max(memory, process.memory_info().rss)
            if round(time.monotonic() - begun) % 10 == 0:
                worst = max(canaries.seconds.values(), default=0.0)
                seen_of = f"{len(canaries.seconds)} of {len(canaries.sent)}"
                say(f"backfill: {await waiting()} panes wait; {seen_of} new models seen, within {worst:.0f} s")
            await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
    took = time.monotonic() - begun
    return [
        Figure("backfill of 840,000 panes: longest wait of a new event, s", max(canaries.seconds.values())),
        Figure(
            "backfill: median wait of a new event, s", sorted(canaries.seconds.values())[len(canaries.seconds) // 2]
        ),
        Figure("backfill: MB of the combiner at most", memory / 1024**2),
        Figure("backfill: rebalances of the combiner", combiner.log.read_text().count("partitions_assigned") - 1),
        Figure("backfill: seconds until the last pane is emitted", took),
    ]


if __name__ == "__main__":
    show("Backfill", asyncio.run(measure()))
