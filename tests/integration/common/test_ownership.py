"""Partitions that no member of a group reads are noticed; a member that is idle is no fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from sentryml_common.contracts.topics import TRANSITIONS, Topic
from sentryml_common.health import Health
from sentryml_common.kafka import ownership
from sentryml_common.kafka.ownership import PartitionsWithoutOwner, partitions_without_owner, watch_owners
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from tests.support.eventually import eventually

EVERY = {0, 1, 2}


class Forgetful(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """As a leader whose metadata lack the topic: nobody gets anything."""

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> Any:
        return super().assign(cluster.__class__(), members)


@pytest.fixture
async def topic(settings: KafkaSettings) -> Topic:
    """A topic of the test's own, whose name is that of the group as well."""
    own = replace(TRANSITIONS, name=f"ownership.{token_hex(6)}", partitions=len(EVERY))
    await ensure_topics(settings, Health(), [own])
    return own


@asynccontextmanager
async def member(settings: KafkaSettings, topic: Topic, **how: Any) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(
        topic.name, bootstrap_servers=settings.kafka_bootstrap, group_id=topic.name, **how
    ) as consumer:
        yield consumer


async def test_a_group_without_members_reads_no_partition(settings: KafkaSettings, topic: Topic) -> None:
    assert await partitions_without_owner(topic.name, topic, settings) == EVERY


async def test_a_group_with_more_members_than_partitions_reads_all(settings: KafkaSettings, topic: Topic) -> None:
    async with member(settings, topic), member(settings, topic), member(settings, topic), member(settings, topic):

        async def all_read() -> bool:
            return await partitions_without_owner(topic.name, topic, settings) == set()

        await eventually(all_read, what="all partitions to have an owner")


async def test_a_member_that_was_given_nothing_is_noticed_and_in_the_end_ended(
    settings: KafkaSettings, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "CHECK_SECONDS", 0.2)
    health = Health()
    health.ready("start")
    async with member(settings, topic, partition_assignment_strategy=(Forgetful,)) as idle:
        assert idle.assignment() == set()
        with pytest.raises(PartitionsWithoutOwner, match=r"reads partitions \[0, 1, 2\]"):
            await watch_owners(topic.name, topic, settings, health, restart_after_seconds=1.0)
    assert f"reads partitions [0, 1, 2] of {topic.name}" in health.waiting_for[topic.name]
    watching = asyncio.create_task(watch_owners(topic.name, topic, settings, health))
    async with member(settings, topic):

        async def ready() -> bool:
            return health.waiting_for == {}

        await eventually(ready, what="/readyz to say that all is well")
        watching.cancel()
