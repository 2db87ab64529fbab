"""The partitions of the table that the group gives this worker: taken over, recovered, written to, let go.

    assigned ─▶ take over ─▶ recover ─▶ held: written to by one step of work at a time
                   │            │         │
    revoked        given up     goes on   the step of work ends first
    assigned                    given up where it is no longer ours, closed

Taking over fences off the previous owner of a partition, so it begins only while the group says that the partition is
ours, and is given up with that: a worker that is late must not shut out the next owner. Recovering only reads, and may
go on while the group shares out partitions; a revocation waits for neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_drift.metrics import PARTITIONS
from sentryml_drift.processor.input_stream import InputStream
from sentryml_drift.processor.models import LoadedModels, OwnedModels
from sentryml_drift.state.table import Table

log = get_logger(__name__)

ASK_AGAIN_SECONDS = 1.0

OpenTable = Callable[[int], Awaitable[Table]]


class Partitions:
    """Which partitions are ours, and the tables of those that are held."""

    def __init__(self, stream: InputStream, open_table: OpenTable, models: OwnedModels, health: Health) -> None:
        self._stream, self._open_table, self._models, self._health = stream, open_table, models, health
        self.owned: frozenset[int] = frozenset()
        self.tables: dict[int, Table] = {}
        self.in_flight = asyncio.Lock()
        """Held by each step of work that writes; a revocation waits for it. A step must not take long."""
        self._settled = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None
        self._recovering: int | None = None
        self._closing: asyncio.Future[Any] = asyncio.gather()

    async def revoked(self) -> None:
        """Begin nothing more until partitions are assigned; let the step of work in flight end."""
        self._settled.clear()
        if self._recovering is None:
            await self._give_up()
        async with self.in_flight:
            pass

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Hold these partitions; let go of all others."""
        self.owned = frozenset(partitions)
        leaving = [self.tables.pop(partition) for partition in self.tables.keys() - self.owned]
        for partition in self._models.partitions - self.owned:
            self._models.drop(partition)
        if self._recovering not in self.owned:
            await self._give_up()
        self._settled.set()
        if self._holding is None:
            self._holding = asyncio.create_task(self._hold(), name="hold partitions")
        self._closing = asyncio.gather(self._closing, *(table.close() for table in leaving))
        log.info("partitions_assigned", partitions=sorted(self.owned))

    async def _give_up(self) -> None:
        """Stop taking over and recovering, at once."""
        task, self._holding = self._holding, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is not None:
                log.warning("partition_not_taken_over", why=str(task.exception()))

    async def _hold(self) -> None:
        """Take over what is ours and not held yet, partition by partition."""
        while True:
            await self._settled.wait()
            self._note()
            missing = sorted(self.owned - self.tables.keys())
            if not missing:
                return
            await self._take_over(missing[0])

    async def _take_over(self, partition: int) -> None:
        await asyncio.shield(self._closing)
        await self._confirm()
        try:
            table = await self._open_table(partition)
        except asyncio.CancelledError:
            self._health.ready("kafka")  # a part that still waits for it reports so again
            raise
        self._recovering = partition
        try:
            _end_if_cancelled()
            loaded = LoadedModels(partition)
            await table.recover(self._health, loaded)
            _end_if_cancelled()
        except BaseException:
            await table.close()
            raise
        finally:
            self._recovering = None
        self._models.adopt(loaded)
        self.tables[partition] = table

    async def _confirm(self) -> None:
        """Wait until the group confirms that we belong to it: we may have been frozen since we were given a partition,
        and another worker may have it. What has to end then is ended by a revocation."""
        while True:
            if await self._stream.is_member():
                return
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    def _note(self) -> None:
        PARTITIONS.labels(state="held").set(len(self.tables))
        PARTITIONS.labels(state="recovering").set(len(self.owned - self.tables.keys()))

    async def held(self) -> None:
        """Wait until the partitions that are ours are held, or are going.

        Raises:
            ConfigurationError: the table cannot be used by this worker.
        """
        task = self._holding
        if task is not None:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    def all_held(self) -> bool:
        """Whether the partitions that are ours have all been taken over and recovered; raises what `held` raises."""
        task = self._holding
        if task is not None and task.done() and not task.cancelled():
            task.result()
        return not self._stream.rebalancing and self.owned <= self.tables.keys()

    def idle(self) -> bool:
        """Whether the group has given us no partition, as where it has more workers than partitions."""
        return self._settled.is_set() and not self.owned

    @asynccontextmanager
    async def writing(self, partition: int) -> AsyncIterator[Table | None]:
        """The table of a partition for a step of work that is alone in writing; None where it is not surely ours. One
        that may be going is held for a moment still: who wrote to it would be fenced off, and end, for nothing."""
        async with self.in_flight:
            yield None if self._stream.rebalancing else self.tables.get(partition)

    async def close(self) -> None:
        """Let go of all partitions; the caller holds `in_flight`."""
        await self._give_up()
        tables, self.tables = list(self.tables.values()), {}
        await asyncio.gather(self._closing, *(table.close() for table in tables))


def _end_if_cancelled() -> None:
    """A client of Kafka that is being closed takes the cancellation of who closes it for that of its own tasks, and
    goes on: what was given up would be held."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
