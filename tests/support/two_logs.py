"""A real Kafka and the log in memory, behind one set of calls: for tests that hold one against the other."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.protocol.group import LeaveGroupRequest

from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record, open_publisher
from sentryml_common.settings import KafkaSettings
from tests.support.kafka_admin import kafka_admin
from tests.support.memory_log import MemoryLog

OPTIONS: dict[str, Any] = {"auto_offset_reset": "earliest", "enable_auto_commit": False}


class Broker(Protocol):
    """What the tests do with a log."""

    async def create(self, partitions: int) -> str: ...
    async def produce(self, topic: str, partition: int, *values: bytes) -> None: ...
    async def produce_in_transaction(self, topic: str, *values: bytes, commit: bool) -> None: ...
    async def delete_before(self, tp: TopicPartition, offset: int) -> None: ...
    async def expel(self, consumer: Any) -> None: ...
    def consumer(self, *topics: str, group_id: str | None) -> Any: ...


class RealKafka:
    """A real Kafka, by aiokafka's clients."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def create(self, partitions: int) -> str:
        """Make a topic."""
        topic = f"sentryml.test.{token_hex(8)}"
        async with kafka_admin(self._bootstrap) as admin:
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        return topic

    async def produce(self, topic: str, partition: int, *values: bytes) -> None:
        """Write records."""
        async with open_publisher(KafkaSettings(kafka_bootstrap=self._bootstrap), Health()) as publisher:
            await publisher.publish(Record(topic, None, value, partition) for value in values)

    async def produce_in_transaction(self, topic: str, *values: bytes, commit: bool) -> None:
        """Write records to partition 0 and commit them, or take them back."""
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, transactional_id=token_hex(8))
        await producer.start()
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
        await producer.stop()

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        """Delete records."""
        async with kafka_admin(self._bootstrap) as admin:
            await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})

    async def expel(self, consumer: Any) -> None:
        """Tell the broker that a consumer leaves, without its knowledge."""
        coordinator = consumer._coordinator
        await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))

    def consumer(self, *topics: str, group_id: str | None) -> Any:
        """A consumer."""
        return AIOKafkaConsumer(
            *topics,
            bootstrap_servers=self._bootstrap,
            group_id=group_id,
            isolation_level="read_committed",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=200,
            **OPTIONS,
        )


class InMemory:
    """The same by the log in memory."""

    def __init__(self) -> None:
        self._log = MemoryLog(heartbeat_seconds=0.05, session_seconds=0.5)

    async def create(self, partitions: int) -> str:
        """Make a topic."""
        self._log.create("topic", partitions)
        return "topic"

    async def produce(self, topic: str, partition: int, *values: bytes) -> None:
        """Write records."""
        await self._log.publisher().publish(Record(topic, None, value, partition) for value in values)

    async def produce_in_transaction(self, topic: str, *values: bytes, commit: bool) -> None:
        """Write records to partition 0 and a marker; taken back ones leave only offsets."""
        if commit:
            await self.produce(topic, 0, *values)
        else:
            self._log.skip(topic, count=len(values))
        self._log.skip(topic)

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        """Delete records."""
        self._log.delete_before(tp, offset)

    async def expel(self, consumer: Any) -> None:
        """Throw a consumer out."""
        consumer.expel()

    def consumer(self, *topics: str, group_id: str | None) -> Any:
        """A consumer."""
        return self._log.consumer(*topics, group_id=group_id, **OPTIONS)


class Consumers:
    """Starts consumers, and stops them after the test."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._made: list[Any] = []

    async def start(self, *topics: str, group: str | None, listener: ConsumerRebalanceListener | None = None) -> Any:
        """A started consumer."""
        consumer = self._broker.consumer(group_id=group)
        if topics:
            consumer.subscribe(topics, listener=listener)
        await consumer.start()
        self._made.append(consumer)
        return consumer

    async def stop(self) -> None:
        """Stop all."""
        for consumer in self._made:
            await consumer.stop()
