"""Ingest while its Kafka freezes, dies, or is not there yet: `503` in bounded time, and nothing half taken.

Kafka is one of its own here, since it is harmed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_local.programs import Addresses
from sentryml_local.stack import Options, Stack
from tests.integration.ingest.conftest import Ingest, StartIngest, make_key, records_of
from tests.support.eventually import eventually
from tests.support.frozen import frozen
from tests.support.ports import free_port, free_port_base
from tests.support.servers import a_stack_with

PUBLISH_SECONDS = 1.0
BATCH = 20


def own_kafka_on(port_base: int) -> AbstractContextManager[Stack]:
    return a_stack_with(Options(port_base=port_base, only=("kafka",)))


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Stack]:
    """A Kafka that tests may stop and kill; its supervisor starts it again."""
    with own_kafka_on(free_port_base()) as stack:
        yield stack


def pid_of_kafka(stack: Stack) -> int | None:
    return next(each.pid for each in stack.status() if each.name == "kafka")


def batch(model_id: str) -> list[dict[str, object]]:
    return [{"model_id": model_id, "prediction": number} for number in range(BATCH)]


async def taken_again(ingest: Ingest, key: str, model_id: str) -> None:
    """Wait until ingest takes events again."""

    async def taken() -> bool:
        return (await ingest.send(key, batch(model_id))).status_code == 202

    await eventually(taken, what="ingest to take events again")


async def taking(own_kafka: Stack, start_ingest: StartIngest, model_id: str) -> tuple[Ingest, str, int]:
    """An ingest that has taken events, a key for more, and the process of its Kafka."""
    bootstrap = own_kafka.addresses.kafka
    key, _ = await make_key(bootstrap, Scope.EVENTS_WRITE)
    ingest = start_ingest(kafka_bootstrap=bootstrap, publish_seconds=PUBLISH_SECONDS)
    await ingest.until_ready()
    assert (await ingest.send(key, batch(model_id))).status_code == 202
    kafka = pid_of_kafka(own_kafka)
    assert kafka is not None
    return ingest, key, kafka


async def test_a_kafka_that_freezes_is_503_in_time_and_each_request_is_whole_or_not_there(
    own_kafka: Stack, start_ingest: StartIngest, model_id: str
) -> None:
    bootstrap = own_kafka.addresses.kafka
    ingest, key, kafka = await taking(own_kafka, start_ingest, f"{model_id}-before")
    with frozen(kafka):
        began = time.monotonic()
        answer = await ingest.send(key, batch(f"{model_id}-frozen"))
        took = time.monotonic() - began
    assert_unavailable(answer)
    assert took < PUBLISH_SECONDS + 5
    await taken_again(ingest, key, f"{model_id}-after")
    assert await sizes(bootstrap, f"{model_id}-before") == [BATCH]
    assert await sizes(bootstrap, f"{model_id}-frozen") in ([], [BATCH])
    assert await sizes(bootstrap, f"{model_id}-after") == [BATCH]


async def test_a_kafka_that_is_killed_is_503_and_ingest_goes_on_by_itself(
    own_kafka: Stack, start_ingest: StartIngest, model_id: str
) -> None:
    bootstrap = own_kafka.addresses.kafka
    ingest, key, kafka = await taking(own_kafka, start_ingest, f"{model_id}-before")
    os.kill(kafka, signal.SIGKILL)
    assert_unavailable(await ingest.send(key, batch(f"{model_id}-killed")))
    await taken_again(ingest, key, f"{model_id}-after")
    assert await sizes(bootstrap, f"{model_id}-before") == [BATCH], "what was answered 202 has survived"
    assert await sizes(bootstrap, f"{model_id}-killed") in ([], [BATCH])
    assert ingest.process.poll() is None


async def sizes(bootstrap: str, model_id: str) -> list[int]:
    """How many events each record of a model holds."""
    return [len(events) for _, events in await records_of(bootstrap, model_id)]


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"


async def test_before_there_is_a_kafka_ingest_waits_and_says_so_and_then_goes_on(
    start_ingest: StartIngest, model_id: str
) -> None:
    port_base = free_port_base()
    address = Addresses(port_base).kafka
    ingest = start_ingest(kafka_bootstrap=address)

    async def said() -> bool:
        return "does not answer" in (await ingest.waiting_for()).get("kafka", "")

    await eventually(said, what="/readyz to say what is waited for")
    [line] = ingest.logged("waiting_for_server")
    assert address in line["why"]
    assert_unavailable(await ingest.send("sml_anything", batch(model_id)))
    alive = await ingest.ask("GET", "/livez")
    assert alive is not None
    assert alive.status_code == 200
    with own_kafka_on(port_base):
        await ingest.until_ready()
        key, _ = await make_key(address, Scope.EVENTS_WRITE)
        await taken_again(ingest, key, model_id)
        assert await sizes(address, model_id) == [BATCH]
        assert ingest.logged("server_answers")
        assert await ingest.stop() == 0


async def test_a_stop_does_not_wait_for_a_kafka_that_never_came(start_ingest: StartIngest) -> None:
    ingest = start_ingest(kafka_bootstrap=f"127.0.0.1:{free_port()}", shutdown_seconds=30)

    async def waits() -> bool:
        return bool(ingest.log.exists() and ingest.logged("waiting_for_server"))

    await eventually(waits, what="ingest to wait for Kafka")
    assert await ingest.stop() == 0
