"""The processor's input, brought by Faust: group, assignment and stream are its, the place in the input is ours."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import faust
from faust.types import TP

from sentryml_common.errors import ConfigurationError
from sentryml_common.logging import get_logger
from sentryml_drift.processor.input_stream import InputRecord, by_bytes
from sentryml_drift.processor.loop import Processor
from sentryml_drift.state.partition_writer import FencedOff

log = get_logger(__name__)

BATCH_RECORDS = 1000
GATHER_SECONDS = 0.05
"""What has arrived meanwhile is taken within this time; most of the gathering is done by pausing between batches."""

MUCH_BYTES = 128 * 1024

COMMIT_SECONDS = 5.0

EXIT_UNEXPECTED = 70


class _DeliverAll(defaultdict[TP, None]):
    """In place of Faust's read offsets: with these it drops what it takes for a repetition. After a seek that is the
    very part that was missing, since what was on its way moves them on."""

    def __getitem__(self, _: TP) -> None:
        return None


class FaustInput:
    """The input stream of a Faust application, as `InputStream` says: `topic` is its name in Kafka."""

    def __init__(self, app: faust.App, topic: str, batch_seconds: float) -> None:
        self.app, self._topic, self._batch_seconds = app, topic, batch_seconds
        self._input = app.topic(topic, key_serializer="raw", value_serializer="raw", acks=False)
        self._committing: asyncio.Task[bool] | None = None

    def connect(self, processor: Processor) -> None:
        """Bring what comes, and say what is ours, to a processor."""

        async def consume(stream: Any) -> None:
            await self._consume(stream, processor)

        async def revoked(*_: Any, **__: Any) -> None:
            await processor.revoked()

        async def assigned(_: faust.App, assigned: Iterable[TP], **__: Any) -> None:
            await processor.assigned(tp.partition for tp in assigned if tp.topic == self._topic)

        self.app.agent(self._input, concurrency=1, isolated_partitions=False, name="processor")(consume)
        self.app.on_partitions_revoked.connect(revoked, weak=False)
        self.app.on_partitions_assigned.connect(assigned, weak=False)

    def begin(self) -> None:
        """To be called once the application is finalized, before it starts."""
        self.app.consumer._read_offset = _DeliverAll()

    async def _consume(self, stream: Any, processor: Processor) -> None:
        loop = asyncio.get_running_loop()
        async for events in stream.noack_take(BATCH_RECORDS, within=GATHER_SECONDS):
            begun, records = loop.time(), list(map(_record, events))
            await _take_all(by_bytes(records), processor)
            if sum(len(each.value or b"") for each in records) < MUCH_BYTES:  # where much has come, more is waiting
                await asyncio.sleep(begun + self._batch_seconds - loop.time())

    @property
    def generation(self) -> int:
        return int(self.app.consumer_generation_id)

    @property
    def rebalancing(self) -> bool:
        return bool(self.app.rebalancing)

    async def is_member(self) -> bool:
        """Whether the group has just confirmed that this worker belongs to it, by a heartbeat of its own."""
        thread = self.app.consumer._thread
        return bool(await thread.call_thread(thread._ensure_consumer()._coordinator._do_heartbeat))

    async def seek(self, partition: int, offset: int) -> None:
        await self.app.consumer.seek(self._tp(partition), offset)

    async def first_offset(self, partition: int) -> int:
        return int((await self.app.consumer.earliest_offsets(self._tp(partition)))[self._tp(partition)])

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        found = await self.app.consumer.highwaters(*map(self._tp, partitions))
        return {tp.partition: end for tp, end in found.items()}

    async def commit(self, places: Mapping[int, int]) -> None:
        """Say how far the work has come, for tools that show lag; nobody here reads it. It is waited for a moment only:
        aiokafka tries again without end, also where the topic was deleted, and a revocation waits for the batch. While
        one is under way there is no other: Faust's consumer does two things at a time, and one of them is reading."""
        if self._committing is not None and not self._committing.done():
            return
        offsets = {self._tp(partition): offset for partition, offset in places.items()}
        self._committing = asyncio.create_task(self.app.consumer._commit(offsets), name="commit")
        done, _ = await asyncio.wait({self._committing}, timeout=COMMIT_SECONDS)
        for each in done:
            each.result()

    def _tp(self, partition: int) -> TP:
        return TP(self._topic, partition)


def _record(event: Any) -> InputRecord:
    message = event.message
    return InputRecord(
        message.topic,
        message.partition,
        message.offset,
        message.value,
        message.generation_id,
        tuple(message.headers or ()),
    )


async def _take_all(batches: Iterable[list[InputRecord]], processor: Processor) -> None:
    """Give a processor its input; end the process where it cannot go on: Faust itself would, over a hole."""
    try:
        for batch in batches:
            await processor.take(batch)
    except FencedOff as err:
        log.warning("fenced_off", why=str(err))
        os._exit(EXIT_UNEXPECTED)
    except ConfigurationError as err:  # who watches over us meets it too, and ends the process with it
        log.error("partition_not_taken_over", why=str(err))
    except Exception as err:
        log.error("batch_failed", exc_info=err)
        os._exit(EXIT_UNEXPECTED)
