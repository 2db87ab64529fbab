"""What a worker refuses, and with which reason: another's folder, another build's table, a group that reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from sentryml_common.contracts.topics import PREDICTIONS
from sentryml_common.errors import EXIT_CONFIGURATION
from sentryml_common.health import Health
from sentryml_common.service import EXIT_FAILED
from sentryml_drift.combiner.loop import group_of
from sentryml_drift.domain.partials import Kind, Target
from sentryml_drift.state.partition_writer import Changelog
from sentryml_drift.state.table import key_of
from tests.integration.common.test_ownership import Forgetful
from tests.integration.drift.conftest import Part, StartPart
from tests.support.eventually import LONG_SECONDS
from tests.support.own_kafka import OwnKafka, own_kafka_with_topics


@pytest.fixture
async def kafka() -> AsyncIterator[OwnKafka]:
    """A Kafka of this test's own: its table is spoilt."""
    async with own_kafka_with_topics() as own:
        yield own


async def refusal(part: Part) -> str:
    """The line in which a part says why it does not start."""
    assert await asyncio.to_thread(part.process.wait, LONG_SECONDS) == EXIT_CONFIGURATION, part.log.read_text()
    log = part.log.read_text()
    assert "Traceback" not in log
    (line,) = [line for line in log.splitlines() if "invalid_configuration" in line]
    return line


async def test_another_ones_folder_and_another_builds_table_are_refused(
    kafka: OwnKafka, start: StartPart, tmp_path: Path
) -> None:
    first = start("processor", state_dir=tmp_path / "state")
    await first.until_ready()
    said = await refusal(start("processor", state_dir=tmp_path / "state"))
    assert f"{tmp_path / 'state'} is in use by another processor" in said
    assert "SENTRYML_STATE_DIR" in said
    assert "cannot be written to" in await refusal(start("processor", state_dir="/proc/nowhere"))
    first.process.terminate()
    assert await asyncio.to_thread(first.process.wait, LONG_SECONDS) == 0

    changelog = await Changelog.take_over(0, kafka.settings, Health())
    await changelog.append({key_of(Target("model", Kind.FINE, 7)): b"\x01 as an older build wrote it"})
    await changelog.close()
    said = await refusal(start("processor", state_dir=tmp_path / "state"))
    assert "holds values of another build" in said
    assert "delete sentryml.table-changelog.v1" in said


async def test_a_combiner_in_a_group_that_reads_nothing_ends_to_join_it_again(
    kafka: OwnKafka, start: StartPart
) -> None:
    async with AIOKafkaConsumer(
        PREDICTIONS.name,
        bootstrap_servers=kafka.bootstrap,
        group_id=group_of(1),
        partition_assignment_strategy=(Forgetful,),
    ):
        combiner = start("combiner", soon=True, stall_seconds=5)
        assert await asyncio.to_thread(combiner.process.wait, LONG_SECONDS) == EXIT_FAILED, combiner.log.read_text()
        assert f"reads partitions [0, 1, 2, 3] of {PREDICTIONS.name}, for 5 s" in combiner.log.read_text()
