"""A topic's id, which Kafka gives it when it is made: a topic deleted and recreated has another one.

aiokafka identifies topics by name alone, which does not distinguish two incarnations of a topic. Version 12 of Kafka's
Metadata request (KIP-516, Kafka 3.1 and later) contains the id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from sentryml_common.errors import ConfigurationError, Unavailable
from sentryml_common.health import Health
from sentryml_common.kafka.client import client_options, start_client
from sentryml_common.settings import KafkaSettings
from sentryml_common.waiting import wait_for

UNKNOWN_TOPIC_OR_PARTITION = 3


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(
            ("node_id", Int32), ("host", CompactString("utf-8")), ("port", Int32), ("rack", CompactString("utf-8")),
            ("tags", TaggedFields),
        )),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(
            ("error_code", Int16), ("name", CompactString("utf-8")), ("id_high", Int64), ("id_low", Int64),
            ("is_internal", Boolean),
            ("partitions", CompactArray(
                ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32),
                ("replicas", CompactArray(Int32)), ("isr", CompactArray(Int32)), ("offline", CompactArray(Int32)),
                ("tags", TaggedFields),
            )),
            ("authorized_operations", Int32), ("tags", TaggedFields),
        )),
        ("tags", TaggedFields),
    )  # fmt: skip


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(
            ("id_high", Int64), ("id_low", Int64), ("name", CompactString("utf-8")), ("tags", TaggedFields),
        )),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )  # fmt: skip


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return request_struct_class([(0, 0, name, {}) for name in self._topics], False, False, {})


class _Asker(AIOKafkaClient):  # type: ignore[misc]
    """aiokafka's bare client, with the `start` that all its other clients have."""

    async def start(self) -> None:
        await self.bootstrap()


class TopicIds:
    """Asks Kafka for the ids of topics, by their names without the prefix."""

    def __init__(self, client: AIOKafkaClient, topic_prefix: str = "") -> None:
        self._client, self._topic_prefix = client, topic_prefix

    async def of(self, *topics: str) -> dict[str, UUID]:
        """The ids of those among `topics` that exist.

        Raises:
            Unavailable: no broker answered.
            ConfigurationError: the brokers are older than Kafka 3.1.
        """
        request = _MetadataRequest([self._topic_prefix + name for name in topics])
        try:
            answer = cast(Any, await self._client.send(self._client.get_random_node(), request))
        except (NotImplementedError, IncompatibleBrokerVersion) as err:
            raise ConfigurationError(
                "the Kafka brokers do not report topic ids; SentryML needs Apache Kafka 3.1 or later"
            ) from err
        except (KafkaError, OSError) as err:
            raise Unavailable(f"Kafka did not list its topics: {type(err).__name__}: {err}") from err
        ids: dict[str, UUID] = {}
        for code, name, high, low, *_ in answer.topics:
            if code == 0:
                ids[name.removeprefix(self._topic_prefix)] = UUID(int=((high % 2**64) << 64) | (low % 2**64))
            elif code != UNKNOWN_TOPIC_OR_PARTITION:
                raise Unavailable(f"Kafka did not describe the topic {name}: {for_code(code).__name__}")
        return ids

    async def wait_for_ids(self, settings: KafkaSettings, health: Health, *topics: str) -> dict[str, UUID]:
        """The same, waiting for Kafka as long as it takes."""
        return await wait_for("kafka", settings.kafka_bootstrap, lambda: self.of(*topics), health, (Unavailable,))


@asynccontextmanager
async def open_topic_ids(settings: KafkaSettings, health: Health) -> AsyncIterator[TopicIds]:
    """A `TopicIds` with a connection of its own."""
    client = await start_client(lambda: _Asker(**client_options(settings)), settings, health)
    try:
        yield TopicIds(client, settings.topic_prefix)
    finally:
        await client.close()
