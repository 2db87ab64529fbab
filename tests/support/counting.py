"""What was produced, and what the processor has counted: the two sides of the promise "exactly once"."""

from __future__ import annotations

import time
from collections import Counter

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sentryml_common.contracts.topics import HISTOGRAMS, PREDICTIONS, TABLE_CHANGELOG
from sentryml_drift.domain.chunked_sum import unpack_sum
from sentryml_drift.domain.partials import SLICED, Kind, Target
from sentryml_drift.domain.payloads import counts_of, slice_of
from sentryml_drift.state.table import PLACE, Place, target_of
from sentryml_statistics.time.panes import FINE_PANES_KEPT, PaneGrid, Resolution

HISTOGRAMS_EPOCH = 1

Counts = Counter[Target]
"""Events by model, kind and pane, and by version or segment."""


class Producer:
    """Produces prediction events and remembers what Kafka acknowledged."""

    def __init__(self, producer: AIOKafkaProducer, grid: PaneGrid) -> None:
        self._producer, self._grid = producer, grid
        self.produced: Counts = Counter()

    async def send(self, batches: list[list[dict[str, object]]], *, key: bytes | None = None) -> None:
        """Send one record per batch (a batch of one as a single object); return when all are acknowledged."""
        sent = [
            await self._producer.send(PREDICTIONS.name, orjson.dumps(batch if len(batch) > 1 else batch[0]), key=key)
            for batch in batches
        ]
        for future, batch in zip(sent, batches, strict=True):
            await future
            self.count(batch)

    def count(self, batch: list[dict[str, object]]) -> None:
        """Remember events that are in Kafka."""
        for event in batch:
            self._count(event)

    def _count(self, event: dict[str, object]) -> None:
        model_id, at = str(event["model_id"]), float(str(event["timestamp"]))
        coarse = self._grid.pane_of(at, Resolution.COARSE)
        if at >= time.time() - FINE_PANES_KEPT * self._grid.fine_seconds:
            self.produced[Target(model_id, Kind.FINE, self._grid.pane_of(at, Resolution.FINE))] += 1
        self.produced[Target(model_id, Kind.COARSE, coarse)] += 1
        for kind, field in ((Kind.VERSION, "version"), (Kind.SEGMENT, "segment")):
            if field in event:
                self.produced[Target(model_id, kind, coarse, str(event[field]))] += 1


class Changelog:
    """The processor's table, as its changelog in Kafka has it: what a restart would find."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def read(self) -> tuple[Counts, bool]:
        """The counts, and whether the processor has taken in all that the combiner has said."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False, isolation_level="read_committed"
        ) as consumer:
            latest = await self._latest(consumer)
            inputs = [TopicPartition(HISTOGRAMS.name, number) for number in range(HISTOGRAMS.partitions)]
            ends = await consumer.end_offsets(inputs)
        applied = all(
            Place.read(latest.get((tp.partition, PLACE)), HISTOGRAMS_EPOCH).next_offset == end
            for tp, end in ends.items()
        )
        counts: Counts = Counter()
        for (_, key), value in latest.items():
            target = target_of(key)
            if target is not None and target.kind in (Kind.FINE, Kind.COARSE):
                counts[target] += counts_of(unpack_sum(value).values()).total
            elif target is not None and target.kind in SLICED:
                counts[target] += slice_of(unpack_sum(value).values()).counts.total
        return counts, applied

    async def _latest(self, consumer: AIOKafkaConsumer) -> dict[tuple[int, bytes], bytes]:
        partitions = [TopicPartition(TABLE_CHANGELOG.name, number) for number in range(TABLE_CHANGELOG.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        latest: dict[tuple[int, bytes], bytes] = {}
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.value is None:
                        latest.pop((record.partition, record.key), None)
                    else:
                        latest[record.partition, record.key] = record.value
        return latest
