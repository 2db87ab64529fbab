"""Checks what the combiner's group has committed, and where the partitions end: in Kafka, since a combiner that
commits nothing cannot be relied on to say so."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sentryml_common.clock import Clock
from sentryml_common.contracts.topics import COMBINER_GROUP, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.logging import get_logger
from sentryml_common.settings import KafkaSettings
from sentryml_notifier.domain.system_alerts.commits import Stands, observe, stalled_since

log = get_logger(__name__)

CHECK_EVERY_SECONDS = 60.0


@dataclass
class CommitWatch:
    """`stalled_since` is what the last check has found."""

    clock: Clock
    stalled_since: datetime | None = None
    stands: Stands = field(default_factory=dict)

    async def run(self, settings: KafkaSettings, health: Health) -> None:
        """Check until cancelled."""
        admin = await start_client(lambda: AIOKafkaAdminClient(**client_options(settings)), settings, health)
        try:
            consumer = await start_client(
                lambda: AIOKafkaConsumer(**client_options(settings), group_id=None), settings, health
            )
            try:
                await self._look_forever(admin, consumer, settings)
            finally:
                await consumer.stop()
        finally:
            await admin.close()

    async def _look_forever(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, settings: KafkaSettings
    ) -> None:
        while True:
            try:
                await self.check(admin, consumer, settings)
            except KafkaError as err:
                # That Kafka is away is a fault of its own.
                log.warning("commits_not_known", why=f"{type(err).__name__}: {err}")
            await asyncio.sleep(CHECK_EVERY_SECONDS)

    async def check(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
        """Check once."""
        group = await _newest_group(admin, settings.prefixed(COMBINER_GROUP))
        found = await admin.list_consumer_group_offsets(group) if group else {}
        topic = settings.prefixed(PREDICTIONS.name)
        committed = {tp.partition: each.offset for tp, each in found.items() if tp.topic == topic and each.offset >= 0}
        ends = await consumer.end_offsets([TopicPartition(topic, partition) for partition in committed])
        by_partition, now = {tp.partition: end for tp, end in ends.items()}, self.clock()
        self.stands = observe(self.stands, committed, by_partition, now)
        self.stalled_since = stalled_since(self.stands, by_partition, now)


async def _newest_group(admin: AIOKafkaAdminClient, name: str) -> str | None:
    """The combiner's group in the newest incarnation of its topic; None if there is none yet."""
    epochs = [
        int(found[1])
        for group, *_ in await admin.list_consumer_groups()
        if (found := re.fullmatch(rf"{re.escape(name)}\.epoch-(\d+)", group))
    ]
    return f"{name}.epoch-{max(epochs)}" if epochs else None
