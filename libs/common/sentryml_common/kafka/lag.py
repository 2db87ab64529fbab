"""How far a consumer is behind, for a metric: series of the partitions that it has now, and of no others."""

from __future__ import annotations

from sentryml_common.metrics import CONSUMER_LAG


class LagSeries:
    """`sentryml_consumer_lag` of one consumer of one topic. A series that nobody keeps up to date would keep its alert:
    clear them when partitions are revoked, when they are assigned and when the consumer stops."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._shown: set[int] = set()

    def show(self, partition: int, next_offset: int, end: int | None) -> None:
        """Set one: `next_offset` is the first not consumed, `end` of the partition is None while it is not known."""
        if end is not None:
            self._shown.add(partition)
            CONSUMER_LAG.labels(topic=self._topic, partition=partition).set(max(0, end - next_offset))

    def clear(self) -> None:
        """Remove all."""
        while self._shown:
            CONSUMER_LAG.remove(self._topic, self._shown.pop())
