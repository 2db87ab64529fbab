"""A Kafka of a test's own, for tests that need an empty one or harm it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sentryml_common.contracts.topics import Topic
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_local.stack import Options, Stack
from tests.support.frozen import frozen
from tests.support.ports import free_port_base
from tests.support.reading import records_in
from tests.support.servers import a_stack_with


class OwnKafka:
    """A running Kafka; a supervisor starts it again when it is killed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.bootstrap = stack.addresses.kafka
        self._records: defaultdict[str, list[Any]] = defaultdict(list)
        self._positions: defaultdict[str, dict[int, int]] = defaultdict(dict)

    @property
    def settings(self) -> KafkaSettings:
        """Settings of clients."""
        return KafkaSettings(kafka_bootstrap=self.bootstrap)

    async def records(self, topic: Topic) -> list[Any]:
        """All records of a topic, in order per partition. Those of the last call are kept: waiting for a record reads
        each once. Not for a topic that is deleted and made again."""
        known = self._records[topic.name]
        known += await records_in(self.bootstrap, topic, self._positions[topic.name])
        return known

    @property
    def pid(self) -> int | None:
        """Its process; None while it does not run."""
        return next(each.pid for each in self._stack.status() if each.name == "kafka")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nothing, and keeps its connections."""
        pid = self.pid
        assert pid is not None
        with frozen(pid):
            yield


@contextmanager
def own_kafka() -> Iterator[OwnKafka]:
    """Start one, without any topic."""
    with a_stack_with(Options(port_base=free_port_base(), only=("kafka",))) as stack:
        yield OwnKafka(stack)


@asynccontextmanager
async def own_kafka_with_topics() -> AsyncIterator[OwnKafka]:
    """Start one, with the topics of the registry."""
    with own_kafka() as kafka:
        await ensure_topics(kafka.settings, Health())
        yield kafka
