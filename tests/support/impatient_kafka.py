"""For processes that tests kill: Kafka waits for the dead no longer than it must."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer


def forget_the_dead_soon() -> None:
    """Have Kafka give the partitions of a dead process away after the shortest time that it allows."""
    begin = AIOKafkaConsumer.__init__

    def begin_shortly(self: AIOKafkaConsumer, *topics: str, **options: Any) -> None:
        begin(self, *topics, **options | {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000})

    AIOKafkaConsumer.__init__ = begin_shortly
