"""`make chaos`: is every event that Kafka acknowledged counted exactly once, whatever is killed or frozen when?

Two combiners, two processors, an ingest, a real Kafka; keyed, badly keyed and key-less producers, clients of ingest
that give up waiting and repeat their requests, and Python clients with the Kafka transport. At the end the counts in
the table's changelog are held against what was produced, per model and pane. Exit code 0: no difference.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.prediction import request_id_in
from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_statistics.time.panes import PaneGrid
from tests.chaos.kafka_clients import KafkaClients
from tests.chaos.retrying_clients import RetryingClients, make_key
from tests.chaos.scenario import Scenario
from tests.chaos.workers import Worker, workers_of
from tests.support.counting import Changelog, Counts, Producer
from tests.support.eventually import eventually
from tests.support.own_kafka import OwnKafka, own_kafka
from tests.support.traffic import keep_producing

FINE_SECONDS = 60.0
SETTLED_WITHIN_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from run to run: where the table is kept, and how long a write dwells before it is acknowledged."""

    store: str
    dwell_seconds: float

    def __str__(self) -> str:
        return f"{self.store}, writes dwell {self.dwell_seconds:g} s" if self.dwell_seconds else self.store


VARIANTS = (Variant("rocksdb", 0.0), Variant("memory", 0.0), Variant("rocksdb", 0.4), Variant("memory", 0.4))


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


async def attack(
    kafka: OwnKafka, workers: list[Worker], rng: random.Random, kills: int
) -> tuple[Producer, Counter[str], dict[str, Counter[str]]]:
    """Deal all blows while events flow; return what was produced, what was dealt, and how each kind of client fared."""
    scenario, enough = Scenario(workers, kafka, rng, say), asyncio.Event()
    key, url = await make_key(kafka.settings), next(worker.url for worker in workers if worker.name == "ingest")
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True, linger_ms=5, compression_type="lz4"
    ) as client:
        producer = Producer(client, PaneGrid(FINE_SECONDS))
        clients = RetryingClients(url, key, producer, random.Random(rng.random()))
        writers = KafkaClients(kafka.bootstrap, producer, random.Random(rng.random()))
        flow = asyncio.gather(keep_producing(producer, rng, enough), clients.run(enough), writers.run(enough))
        try:
            for blow in scenario.blows(kills):
                await scenario.deal(blow)
                if flow.done():
                    break
            enough.set()
            await flow
        finally:
            flow.cancel()
    return producer, scenario.dealt, {"clients of ingest": clients.counts, "Kafka transport": writers.counts}


async def settled(kafka: OwnKafka, produced: Counts) -> Counts:
    """The counts once the processors have taken in all that there is."""
    changelog, expected = Changelog(kafka.bootstrap), sum(produced.values())

    async def all_taken_in() -> Counts | None:
        counts, applied = await changelog.read()
        return counts if applied and sum(counts.values()) >= expected else None

    with suppress(AssertionError):
        await eventually(all_taken_in, what="all events to be counted", within=SETTLED_WITHIN_SECONDS)
    return (await changelog.read())[0]


async def repeats_in(kafka: OwnKafka) -> int:
    """How many records are in the log of requests that are there already."""
    ids = [request_id_in(record.headers) for record in await kafka.records(PREDICTIONS)]
    known = [each for each in ids if each is not None]
    return len(known) - len(set(known))


async def run(variant: Variant, seed: int, kills: int) -> bool:
    """One run; whether nothing was lost and nothing counted twice."""
    folder, rng, begun = Path(mkdtemp(prefix="sentryml-chaos-")), random.Random(seed), time.monotonic()
    say(f"{variant}: seed {seed}, at least {kills} kills; logs in {folder}")
    with own_kafka() as kafka:
        await ensure_topics(kafka.settings, Health())
        workers = workers_of(folder, kafka.bootstrap, FINE_SECONDS, variant.store, variant.dwell_seconds)
        alive = [asyncio.create_task(worker.keep_alive()) for worker in workers]
        try:
            producer, dealt, clients = await attack(kafka, workers, rng, kills)
            say("all blows dealt; waiting until everything is counted")
            counted = await settled(kafka, producer.produced)
            repeats = await repeats_in(kafka)
        finally:
            for task in alive:
                task.cancel()
            for worker in workers:
                worker.kill()
    difference = {key: counted[key] - n for key, n in producer.produced.items() if counted[key] != n}
    difference |= {key: n for key, n in counted.items() if key not in producer.produced}
    say(f"{variant}: seed {seed}: {dict(dealt)}")
    for kind, counts in clients.items():
        say(f"{variant}: {kind}: {dict(counts)}")
    say(
        f"{variant}: {repeats} repeats in Kafka; exit codes of workers "
        f"{dict(Counter(code for worker in workers for code in worker.exits))}, {time.monotonic() - begun:.0f} s"
    )
    say(
        f"{variant}: produced {sum(producer.produced.values()):,}, counted {sum(counted.values()):,}, "
        f"difference {sum(map(abs, difference.values()))} in {len(difference)} of {len(producer.produced)} panes"
    )
    return not difference


def main() -> None:
    """Run the variants one after another."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=30, help="least number of kills a run (default 30)")
    parser.add_argument("--seed", type=int, help="of the random choices (default: another one each time)")
    parser.add_argument("--variant", type=int, choices=range(1, len(VARIANTS) + 1), help="only this one")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    variants = VARIANTS if options.variant is None else [VARIANTS[options.variant - 1]]
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells at length that Kafka is away
    for signum in (signal.SIGINT, signal.SIGTERM):  # also where a shell has us ignore the first
        signal.signal(signum, signal.default_int_handler)
    try:
        exact = [asyncio.run(run(variant, seed + number, options.kills)) for number, variant in enumerate(variants)]
    except KeyboardInterrupt:
        sys.exit("stopped")
    sys.exit(0 if all(exact) else 1)


if __name__ == "__main__":
    main()
