"""A worker frozen inside its table writes wakes after another has taken over: none of its writes counts.

Faust's own tables keep such writes. The freeze is forced, again and again, with a writer that dwells inside its
transactions.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import TopicPartition

from sentryml_common.contracts.topics import TABLE_CHANGELOG
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_drift.state.partition_writer import Changelog
from tests.support.eventually import LONG_SECONDS
from tests.support.own_kafka import OwnKafka, own_kafka
from tests.support.table_writer import DWELL_SECONDS, EXIT_FENCED, KEYS

FREEZES = 4


@pytest.fixture(scope="module")
async def kafka() -> AsyncIterator[OwnKafka]:
    """A Kafka of its own: the table's changelog belongs to the worker that took it over last."""
    with own_kafka() as own:
        await ensure_topics(own.settings, Health(), [TABLE_CHANGELOG])
        yield own


@pytest.fixture
def settings(kafka: OwnKafka) -> KafkaSettings:
    return kafka.settings


@pytest.fixture
def writer(kafka: OwnKafka) -> Iterator[subprocess.Popen[str]]:
    """Another worker, writing without end."""
    arguments = [sys.executable, "-m", "tests.support.table_writer", kafka.bootstrap, "0", "stale"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


async def everything(log: Changelog) -> dict[bytes, bytes | None]:
    """The newest value of each key, as a recovery reads it."""
    found: dict[bytes, bytes | None] = {}
    async for changes, _ in log.read(0, Health(), lambda _: None):
        found |= changes
    return found


@pytest.mark.parametrize("round_number", range(FREEZES))
async def test_what_a_frozen_writer_still_sends_is_refused(
    settings: KafkaSettings, writer: subprocess.Popen[str], round_number: int
) -> None:
    assert writer.stdout is not None
    for _ in range(3):
        await asyncio.to_thread(writer.stdout.readline)
    await asyncio.sleep(random.Random(round_number).random() * 2 * DWELL_SECONDS)  # where in its work it freezes
    writer.send_signal(signal.SIGSTOP)
    owner = await Changelog.take_over(0, settings, Health())
    try:
        before = await everything(owner)
        assert len(set(before.values())) == 1, "a batch is in the changelog whole, or not at all"
        await owner.append(dict.fromkeys(KEYS, b"owner-1"))
        writer.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(writer.wait, LONG_SECONDS) == EXIT_FENCED
        assert await everything(owner) == dict.fromkeys(KEYS, b"owner-1")
    finally:
        await owner.close()


async def test_a_next_owner_finds_what_the_last_one_wrote_and_deleted(settings: KafkaSettings) -> None:
    first = await Changelog.take_over(1, settings, Health())
    await first.append({b"key": b"first", b"gone": b"first"})
    await first.append({b"gone": None})
    await first.close()
    second = await Changelog.take_over(1, settings, Health())
    assert await everything(second) == {b"key": b"first", b"gone": None}
    await second.close()


async def test_reading_on_from_a_position_brings_what_came_after_it(settings: KafkaSettings) -> None:
    log = await Changelog.take_over(2, settings, Health())
    position = await log.append({b"a": b"1", b"b": b"1"})
    await log.append({b"b": b"2"})
    parts = [part async for part in log.read(position, Health(), lambda _: None)]
    assert {key: value for changes, _ in parts for key, value in changes.items()} == {b"b": b"2"}
    end = parts[-1][1]
    assert [part async for part in log.read(end, Health(), lambda _: None)] == []
    await log.close()


async def test_a_writer_out_of_step_with_the_broker_fails_and_who_takes_over_goes_on(
    settings: KafkaSettings,
) -> None:
    broken = await Changelog.take_over(3, settings, Health())
    await broken.append({b"key": b"first"})
    # What aiokafka does to a batch that it has numbered and then drops, since its partition has no leader.
    broken._producer._txn_manager.increment_sequence_number(TopicPartition(TABLE_CHANGELOG.name, 3), 1)
    with pytest.raises(Unavailable, match="OutOfOrderSequenceNumber"):
        await broken.append({b"key": b"refused", b"other": b"refused"})
    await broken.close()
    owner = await Changelog.take_over(3, settings, Health())
    assert await everything(owner) == {b"key": b"first"}
    await owner.append({b"key": b"second"})
    assert await everything(owner) == {b"key": b"second"}
    await owner.close()
