"""`make bench-ingest`: what the gateway costs, in turns with a bare one and one as tutorials write it.

All stand on the same real Kafka and answer after its acknowledgement. What is compared is events per second of CPU of
the gateway's process, the median over rounds in which all take turns: that carries over, however many cores there are.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex, token_urlsafe
from typing import Any

import httpx
import orjson
import psutil

from bench.ingest.load import MODEL_IDS
from bench.report import cpu_of, say, say_table, stopped_by_ctrl_c
from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import API_KEYS, MONITORS, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics
from tests.support.ports import free_port

SIZES = (1, 100, 1_000)
GATEWAYS = ("bare", "ours", "tutorial")
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """One gateway under load for some seconds."""

    events_per_cpu_second: float
    events_per_second: float
    requests_per_second: float
    p50: float
    p99: float
    refused: int
    megabytes: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running gateway."""

    port: int
    process: psutil.Process


@asynccontextmanager
async def running(gateway: str, kafka: OwnKafka) -> AsyncIterator[Server]:
    """Start a gateway and wait until it answers."""
    port = free_port()
    ours = {"SENTRYML_KAFKA_BOOTSTRAP": kafka.bootstrap, "SENTRYML_HTTP_PORT": str(port)}
    # Limits that are not reached: they are counted all the same.
    ours |= dict.fromkeys(("SENTRYML_KEY_EVENTS_PER_SECOND", "SENTRYML_KEY_BYTES_PER_SECOND"), "1e9")
    command = ["sentryml_ingest"] if gateway == "ours" else [f"bench.ingest.{gateway}", str(port), kafka.bootstrap]
    command += [] if gateway == "ours" else [kafka.settings.topic_prefix + PREDICTIONS.name]
    process = psutil.Popen([sys.executable, "-m", *command], env={**psutil.Process().environ(), **ours})
    try:
        await until_it_answers(port, "/readyz" if gateway == "ours" else "/")
        yield Server(port, process)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def until_it_answers(port: int, path: str) -> None:
    """Wait for an answer; that of ours has to say that it is ready.

    Raises:
        TimeoutError: none came.
    """
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}{path}")).status_code != 503:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def load(server: Server, key: str, events: int, seconds: float, rate: float = 0.0) -> Run:
    """Put a gateway under load."""
    before = cpu_of(server.process)
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.ingest.load", str(server.port), key, str(events), str(seconds), str(rate),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said: dict[str, Any] = orjson.loads((await sender.communicate())[0])
    spent = cpu_of(server.process) - before
    return Run(
        said["events"] / spent,
        said["events"] / said["seconds"],
        said["requests"] / said["seconds"],
        said["p50"],
        said["p99"],
        said["refused"],
        server.process.memory_info().rss / 2**20,
    )


async def measure(rounds: int, seconds: float) -> None:
    """Measure all, and print the tables."""
    async with own_kafka_with_topics() as kafka:
        key = await make_key(kafka)
        found: dict[tuple[int, str], list[Run]] = defaultdict(list)
        async with (
            running("bare", kafka) as bare,
            running("ours", kafka) as ours,
            running("tutorial", kafka) as tutorial,
        ):
            servers = dict(zip(GATEWAYS, (bare, ours, tutorial), strict=True))
            for number in range(rounds + 1):
                for events in SIZES:
                    for gateway, server in servers.items():
                        run = await load(server, key, events, seconds)
                        say(f"round {number}: {gateway} at {events}: {run.events_per_cpu_second:,.0f} events/CPU s")
                        if number:  # the first is to warm up
                            found[events, gateway].append(run)
            show_ceilings(found)
            capacity = statistics.median(run.requests_per_second for run in found[100, "ours"])
            paced = [await load(ours, key, 100, seconds, capacity / 2) for _ in range(rounds)]
        show_paced(paced)


def show_ceilings(found: dict[tuple[int, str], list[Run]]) -> None:
    rows = []
    for (events, gateway), runs in found.items():
        bare = found[events, "bare"]
        pairs = [run.events_per_cpu_second / rival.events_per_cpu_second for run, rival in zip(runs, bare, strict=True)]
        rows.append(
            [
                f"{gateway}, {events:,} events a request",
                f"{statistics.median(run.events_per_cpu_second for run in runs):,.0f}",
                f"{statistics.median(pairs):.2f}",
                f"{statistics.median(run.events_per_second for run in runs):,.0f}",
                f"{statistics.median(run.p99 for run in runs):.1f}",
                f"{max(run.megabytes for run in runs):.0f}",
                f"{sum(run.refused for run in runs)}",
            ]
        )
    headings = ["gateway", "events per CPU s", "ratio to bare", "events per s", "p99 ms", "MB", "refused"]
    say_table("Gateway, 64 connections", headings, rows)


def show_paced(runs: list[Run]) -> None:
    rows = [[f"{run.events_per_second:,.0f}", f"{run.p50:.1f}", f"{run.p99:.1f}"] for run in runs]
    say_table("Ours at half its capacity, 100 events a request", ["events per s", "p50 ms", "p99 ms"], rows)


async def make_key(kafka: OwnKafka) -> str:
    """An API key that may write events, and the monitors of their models."""
    key_id = token_hex(6)
    text = form_key(key_id, token_urlsafe(32))
    known = ApiKey(key_id=key_id, name="bench", key_hash=hash_key(text), scopes=(Scope.EVENTS_WRITE,))
    async with open_publisher(kafka.settings, Health()) as publisher:
        await publisher.publish([Record(API_KEYS.name, key_id.encode(), encode(known))])
        monitors = (Monitor(model_id=model_id, version=1) for model_id in MODEL_IDS)
        await publisher.publish(Record(MONITORS.name, each.model_id.encode(), encode(each)) for each in monitors)
    return text


def main() -> None:
    """Read the command line, and measure."""
    options = argparse.ArgumentParser(prog="make bench-ingest", description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3.0)
    given = options.parse_args()
    with stopped_by_ctrl_c():
        asyncio.run(measure(given.rounds, given.seconds))


if __name__ == "__main__":
    main()
