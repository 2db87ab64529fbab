"""Every event that Kafka acknowledged is counted exactly once, whatever is killed when.

What: real combiner and processor, killed with SIGKILL at random while events flow, restarted by the supervisor.
How: at the end the counts in the processor's changelog equal, per model and pane, what was produced.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaProducer

from sentryml_local.stack import Options, Stack
from sentryml_statistics.time.panes import PaneGrid
from tests.support.counting import Changelog, Producer
from tests.support.eventually import eventually
from tests.support.ports import free_port_base
from tests.support.servers import a_stack_with
from tests.support.traffic import keep_producing

FINE_SECONDS = 60.0
KILLS = 6


@pytest.fixture
def drift_stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Kafka, combiner and processor alone; emissions often, so that kills fall into them."""
    monkeypatch.setenv("SENTRYML_EMIT_SECONDS", "0.3")
    monkeypatch.setenv("SENTRYML_BATCH_SECONDS", "0.5")
    monkeypatch.setenv("SENTRYML_SESSION_TIMEOUT_SECONDS", "3")
    options = Options(
        port_base=free_port_base(),
        fine_pane_seconds=FINE_SECONDS,
        only=("kafka", "combiner", "processor"),
        durable=False,
    )
    with a_stack_with(options) as stack:
        yield stack


@pytest.fixture
async def producer(drift_stack: Stack) -> AsyncIterator[Producer]:
    async with AIOKafkaProducer(
        bootstrap_servers=drift_stack.addresses.kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        compression_type="lz4",
    ) as kafka:
        yield Producer(kafka, PaneGrid(FINE_SECONDS))


def pid_of(stack: Stack, name: str) -> int | None:
    return next(each.pid for each in stack.status() if each.name == name)


async def kill(stack: Stack, name: str) -> None:
    """SIGKILL a program and see it come back as another process."""
    pid = pid_of(stack, name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        return pid_of(stack, name) not in (None, pid)

    await eventually(back, what=f"{name} to be restarted")


async def test_every_event_is_counted_exactly_once_through_kills(drift_stack: Stack, producer: Producer) -> None:
    seed = random.SystemRandom().randrange(10**6)
    rng = random.Random(seed)
    enough = asyncio.Event()
    flow = asyncio.create_task(keep_producing(producer, rng, enough))
    changelog = Changelog(drift_stack.addresses.kafka)
    for number in range(KILLS):
        before = sum((await changelog.read())[0].values())

        async def moved(before: int = before) -> bool:
            return sum((await changelog.read())[0].values()) > before

        await eventually(moved, what="counts to move between two kills")
        await asyncio.sleep(rng.random())  # where in its work a kill falls is chance, not a thing to wait for
        await kill(drift_stack, ("combiner", "processor")[number % 2])
    enough.set()
    await flow

    async def all_taken_in() -> bool:
        counts, applied = await changelog.read()
        return applied and sum(counts.values()) >= sum(producer.produced.values())

    await eventually(all_taken_in, what=f"all events to be counted (seed {seed})", within=120)
    counts, _ = await changelog.read()
    wrong = {key: (counts[key], produced) for key, produced in producer.produced.items() if counts[key] != produced}
    assert not wrong, f"seed {seed}: (counted, produced) by model, kind and pane: {wrong}"
    assert counts == producer.produced, f"seed {seed}: counted what was not produced: {counts - producer.produced}"
