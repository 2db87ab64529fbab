"""Whether a consumer group reads its whole topic: each partition has a member that owns it.

A member without partitions is idle where there are more members than partitions, and that is no fault. But a group that
was balanced while its leader did not know the partitions, or whose members never joined, reads nothing, and no client
raises an error.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn, cast

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code

from sentryml_common.contracts.topics import Topic
from sentryml_common.errors import SentryMLError
from sentryml_common.health import Health
from sentryml_common.kafka.client import ask_admin
from sentryml_common.settings import KafkaSettings

CHECK_SECONDS = 15.0
RESTART_AFTER_SECONDS = 60.0
REBALANCING = ("PreparingRebalance", "CompletingRebalance")


class PartitionsWithoutOwner(SentryMLError):
    """A group leaves partitions unread; joining it again has it share them out again."""


async def partitions_without_owner(group: str, topic: Topic, settings: KafkaSettings) -> set[int] | None:
    """The partitions of `topic` that no member of `group` owns, waiting for Kafka as long as it takes; None while the
    group is being balanced.

    Raises:
        ConfigurationError: Kafka refuses to say.
    """

    name = settings.prefixed(topic.name)

    async def use(admin: AIOKafkaAdminClient) -> set[int] | None:
        [described] = await admin.describe_topics([name])
        partitions = {each["partition"] for each in described["partitions"]}
        [answer] = await admin.describe_consumer_groups([settings.prefixed(group)])
        code, _, state, _, _, members, *_ = answer.groups[0]
        if code:
            raise for_code(code)(group)
        return None if state in REBALANCING else partitions - _owned(name, members)

    return await ask_admin(use, settings, Health())


def _owned(topic: str, members: list[tuple[object, ...]]) -> set[int]:
    assignments = [cast(bytes, assignment) for *_, assignment in members]
    return {
        tp.partition
        for assignment in assignments
        if assignment
        for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions()
        if tp.topic == topic
    }


async def watch_owners(
    group: str,
    topic: Topic,
    settings: KafkaSettings,
    health: Health,
    restart_after_seconds: float = RESTART_AFTER_SECONDS,
) -> NoReturn:
    """Say on `/readyz` that partitions of `topic` have no owner in `group`, until cancelled.

    Raises:
        PartitionsWithoutOwner: it has lasted too long; a restart joins the group again.
        ConfigurationError: Kafka refuses to describe the group.
    """
    loop, since = asyncio.get_running_loop(), None
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        unowned = await partitions_without_owner(group, topic, settings)
        if unowned is None:
            continue
        if not unowned:
            since = None
            health.ready(group)
            continue
        since = since or loop.time()
        text = f"no member of the group {group} reads partitions {sorted(unowned)} of {topic.name}"
        health.waiting(group, text)
        if loop.time() - since > restart_after_seconds:
            raise PartitionsWithoutOwner(f"{text}, for {restart_after_seconds:g} s")
