"""What a consumer group has committed, with the metadata that a consumer does not show."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.health import Health
from sentryml_common.kafka.client import ask_admin
from sentryml_common.settings import KafkaSettings


async def committed_offsets(
    group: str, settings: KafkaSettings, health: Health
) -> dict[TopicPartition, OffsetAndMetadata]:
    """The commits of `group` by partition, waiting for Kafka as long as it takes.

    Raises:
        ConfigurationError: Kafka refuses to say.
    """

    async def use(admin: AIOKafkaAdminClient) -> dict[TopicPartition, OffsetAndMetadata]:
        found: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
            settings.prefixed(group)
        )
        return {partition: commit for partition, commit in found.items() if commit.offset >= 0}

    return await ask_admin(use, settings, health)
