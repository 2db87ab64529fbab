"""Detects that the combiner makes no progress: input that waits without being emitted is reported on `/readyz`, and in
the end the process exits to be restarted.

Reading alone is no progress: a worker that is expelled from its group again and again reads much and emits nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from datetime import datetime
from typing import NoReturn, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sentryml_common.clock import Clock, system_clock
from sentryml_common.health import Health
from sentryml_drift.combiner.read_times import ReadTimes
from sentryml_drift.watchdog import WATCH_SECONDS, Watchdog

REPORTED_AFTER_SECONDS = 20.0


class Ends(Protocol):
    """What this module needs of the consumer."""

    def assignment(self) -> Set[TopicPartition]: ...
    def highwater(self, partition: TopicPartition) -> int | None: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...


class Progress:
    """Compares how far the log goes with how far its events have been emitted and acknowledged."""

    def __init__(self, health: Health, stall_seconds: float, clock: Clock = system_clock) -> None:
        self._health, self._watchdog, self._clock = health, Watchdog(stall_seconds), clock
        self.read_times = ReadTimes()
        self._emitted: dict[int, int] = {}
        self._since: datetime | None = None

    def emitted(self, offsets: Mapping[int, int]) -> None:
        """Everything before these offsets (by partition) is emitted and acknowledged."""
        if any(self._emitted.get(partition) != offset for partition, offset in offsets.items()):
            self._since = None
        self._emitted.update(offsets)

    def published(self) -> None:
        """Part of an emission is acknowledged: a long one is no stall."""
        self._watchdog.reset(self._clock().timestamp())

    async def watch(self, consumer: Ends) -> NoReturn:
        """Compare every few seconds, until cancelled.

        Raises:
            Stalled: input has waited too long; only a restart helps.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            asked_at = self._clock().timestamp()
            try:
                found = await consumer.end_offsets(list(consumer.assignment()))
            except KafkaError:  # Kafka is away, or the group is being balanced
                self._watchdog.reset(self._clock().timestamp())
            else:
                ends = {partition.partition: end for partition, end in found.items()}
                self.read_times.asked(asked_at, ends | _hidden(consumer, found))
                self.compare(ends)

    def compare(self, ends: Mapping[int, int]) -> None:
        """Report on `/readyz` since when input waits, after a while. `ends` are those of the partitions.

        Raises:
            Stalled: it has waited too long.
        """
        now = self._clock()
        emitted = {partition: self._emitted.get(partition, 0) for partition in ends}
        waiting = sum(max(0, end - emitted[partition]) for partition, end in ends.items())
        self._since = (self._since or now) if waiting else None
        if self._since is not None and (now - self._since).total_seconds() >= REPORTED_AFTER_SECONDS:
            waits = f"{waiting} records wait, and none has been counted since {self._since:%H:%M:%S} UTC"
            self._health.waiting("input", waits)
        else:
            self._health.ready("input")
        self._watchdog.check(waiting, emitted, now.timestamp())


def _hidden(consumer: Ends, ends: Mapping[TopicPartition, int]) -> dict[int, int]:
    """Ends behind records of transactions that are still open: these are in the log, and cannot be read yet."""
    assigned = consumer.assignment()
    marks = {partition: consumer.highwater(partition) or 0 for partition in ends if partition in assigned}
    return {partition.partition: mark for partition, mark in marks.items() if mark > ends[partition]}
