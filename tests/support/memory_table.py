"""The changelogs of the processor's table in memory: only the last worker that took a partition over can write to it.

changelogs = MemoryChangelogs()
table = await changelogs.open_table(partition)          # as `open_table` of the real one, without a folder
changelogs.values(partition)                            # the newest value of each key, as a restart finds it
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import cast

from sentryml_common.health import Health
from sentryml_common.kafka.producer import Record
from sentryml_drift.state.local_copy import Changes, MemoryStore, Store
from sentryml_drift.state.partition_writer import Changelog, FencedOff
from sentryml_drift.state.table import Table

READ_AT_ONCE = 100

Pause = Callable[[], Awaitable[None]]


async def no_pause() -> None:
    """Let others have a turn."""
    await asyncio.sleep(0)


class MemoryChangelogs:
    """One log of changes per partition, and what was published with them. `pause` is awaited wherever a broker takes
    its time."""

    def __init__(self, pause: Pause = no_pause) -> None:
        self.pause = pause
        self.changes: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
        self.published: list[Record] = []
        self.taken_over: Counter[int] = Counter()
        self.open: list[int] = []

    async def open_table(self, partition: int, pause: Pause | None = None, store: Store | None = None) -> Table:
        """Take over a partition, which shuts out who held it; with `pause` for all that is done with it."""
        pause = pause or self.pause
        await pause()
        self.taken_over[partition] += 1
        self.open.append(partition)
        changelog = _Changelog(partition, self.taken_over[partition], self, pause)
        await pause()  # the broker has done it, and its answer is on the way
        return Table(cast(Changelog, changelog), store or MemoryStore(), epoch=1)

    def values(self, partition: int) -> dict[bytes, bytes]:
        """The newest value of each key."""
        found = dict(self.changes[partition])
        return {key: value for key, value in found.items() if value is not None}


class _Changelog:
    """As a `Changelog`."""

    def __init__(self, partition: int, epoch: int, kafka: MemoryChangelogs, pause: Pause) -> None:
        self.partition, self._epoch, self._kafka, self._pause = partition, epoch, kafka, pause

    async def append(self, changes: Changes, records: Iterable[Record] = ()) -> int:
        await self._pause()
        if self._epoch != self._kafka.taken_over[self.partition]:
            raise FencedOff(f"another worker has taken over partition {self.partition}")
        self._kafka.changes[self.partition] += changes.items()
        self._kafka.published += records
        end = len(self._kafka.changes[self.partition])
        await self._pause()
        return end

    async def read(
        self, position: int, health: Health, progress: Callable[[float], None]
    ) -> AsyncIterator[tuple[dict[bytes, bytes | None], int]]:
        end = len(self._kafka.changes[self.partition])
        while position < end:
            await self._pause()
            part = self._kafka.changes[self.partition][position : min(end, position + READ_AT_ONCE)]
            position += len(part)
            progress(position / end)
            yield dict(part), position

    async def close(self) -> None:
        await self._pause()
        self._kafka.open.remove(self.partition)
