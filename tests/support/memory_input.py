"""Workers of the processor on the log in memory: their input, as Faust brings it at its worst, and their ends.

    worker = Worker(log, changelogs, retention)
    worker.kill()                               # nobody is notified
    worker.freeze(), worker.thaw()              # its group throws it out meanwhile
    worker.stall(), worker.thaw()               # it does not

What comes of Faust: records are queued ahead, so those from before a seek come after it; whole ranges of offsets are
dropped while the group is being balanced; reading goes on from what the group has committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_common.health import Health
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_drift.processor.input_stream import InputRecord
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.retention import Retention
from sentryml_drift.state.partition_writer import FencedOff
from sentryml_drift.state.table import Table
from tests.support.memory_consumer import MemoryConsumer
from tests.support.memory_log import MemoryLog
from tests.support.memory_table import MemoryChangelogs

GROUP = "processor"
QUEUED = 64
BATCH_RECORDS = 16
BATCH_SECONDS = 0.2


class Worker:
    """One worker: an `InputStream`, the listener of its consumer, and the processor that it feeds."""

    def __init__(self, log: MemoryLog, changelogs: MemoryChangelogs, retention: Retention) -> None:
        self._log, self._changelogs = log, changelogs
        self._consumer = MemoryConsumer(log, group_id=GROUP, auto_offset_reset="earliest")
        self._queue: asyncio.Queue[InputRecord] = asyncio.Queue(QUEUED)
        self._awake = asyncio.Event()
        self._awake.set()
        self.generation, self.rebalancing, self.health = 0, False, Health()
        letters = DeadLetters("drift-processor", log.publisher())
        self.processor = Processor(self, self._open_table, letters, retention, self.health)
        self._consumer.subscribe([HISTOGRAMS.name], listener=self)
        self.running = asyncio.create_task(self._run())

    # What happens to it

    def kill(self) -> None:
        """The process dies: nobody is notified."""
        self._consumer.kill()
        if asyncio.current_task() is not self.running:
            self.running.cancel()
        holding = self.processor.partitions._holding
        if holding is not None:
            holding.cancel()

    def freeze(self) -> None:
        """It gets no processor time, and is thrown out of its group; not while it joins."""
        if self.stall():
            self._consumer.expel()

    def stall(self) -> bool:
        """It gets no processor time, for so short that its group does not notice; not while it joins."""
        if self.generation and not self._consumer._reassigning:
            self._awake.clear()
        return not self._awake.is_set()

    def thaw(self) -> None:
        """It goes on where it was."""
        self._awake.set()

    async def pause(self) -> None:
        """Whatever it waits for takes its time; while it is frozen, it does not go on."""
        await self._log.at("worker", self._log.group(GROUP))
        await self._awake.wait()

    # What it does

    async def _open_table(self, partition: int) -> Table:
        return await self._changelogs.open_table(partition, self.pause)

    async def _run(self) -> None:
        await self._consumer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in self._work():
                    tasks.create_task(work)
        except* (FencedOff, ConsumerStoppedError):
            self.kill()

    def _work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """All that it does at once."""
        yield self._read()
        yield self._feed()

    async def _read(self) -> None:
        while True:
            with suppress(KafkaError):
                for records in (await self._consumer.getmany(timeout_ms=200, max_records=2 * QUEUED)).values():
                    generation = self.generation
                    for each in records:
                        if generation == self.generation and not self.rebalancing:
                            record = InputRecord(
                                each.topic, each.partition, each.offset, each.value, generation, each.headers
                            )
                            await self._queue.put(record)

    async def _feed(self) -> None:
        while True:
            batch = [await self._queue.get()]
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_SECONDS):
                    while len(batch) < BATCH_RECORDS:
                        batch.append(await self._queue.get())
            await self._awake.wait()
            await self.processor.take(batch)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """As Faust does it."""
        await self._awake.wait()
        self.rebalancing = True
        while not self._queue.empty():
            self._queue.get_nowait()
        await self.processor.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """As Faust does it."""
        await self._awake.wait()
        self.generation = self._consumer.generation
        await self.processor.assigned(tp.partition for tp in assigned)
        self.rebalancing = False

    # The input stream

    async def is_member(self) -> bool:
        await self.pause()
        try:
            self._log.group(GROUP).commit(self._consumer, {})
        except KafkaError:
            return False
        return True

    async def seek(self, partition: int, offset: int) -> None:
        await self.pause()
        with suppress(KafkaError):
            self._consumer.seek(_tp(partition), offset)

    async def first_offset(self, partition: int) -> int:
        await self.pause()
        return (await self._consumer.beginning_offsets([_tp(partition)]))[_tp(partition)]

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        await self.pause()
        return {tp.partition: end for tp, end in (await self._consumer.end_offsets(map(_tp, partitions))).items()}

    async def commit(self, places: Mapping[int, int]) -> None:
        await self.pause()
        with suppress(KafkaError):
            await self._consumer.commit({_tp(p): OffsetAndMetadata(offset, "") for p, offset in places.items()})


def _tp(partition: int) -> TopicPartition:
    return TopicPartition(HISTOGRAMS.name, partition)
