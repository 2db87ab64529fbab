"""An input stream of the processor that says and brings what a test wants, in the test's own order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sentryml_common.contracts.topics import HISTOGRAMS
from sentryml_drift.processor.input_stream import InputRecord
from sentryml_drift.processor.loop import Processor


class ScriptedInput:
    """An `InputStream`; what was sought and committed is noted."""

    def __init__(self) -> None:
        self.generation, self.rebalancing, self.member = 0, False, True
        self.first: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.sought: list[tuple[int, int]] = []
        self.committed: dict[int, int] = {}

    async def revoke(self, processor: Processor) -> None:
        """The group begins to share out partitions."""
        self.rebalancing = True
        await processor.revoked()

    async def give(self, processor: Processor, partitions: Iterable[int]) -> None:
        """The group gives these partitions."""
        self.generation += 1
        await processor.assigned(partitions)
        self.rebalancing = False

    def record(
        self, value: bytes | None, offset: int, partition: int = 0, headers: tuple[tuple[str, bytes], ...] = ()
    ) -> InputRecord:
        """A record as it comes now."""
        return InputRecord(HISTOGRAMS.name, partition, offset, value, self.generation, headers)

    async def is_member(self) -> bool:
        return self.member

    async def seek(self, partition: int, offset: int) -> None:
        self.sought.append((partition, offset))

    async def first_offset(self, partition: int) -> int:
        return self.first.get(partition, 0)

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return {partition: self.end.get(partition, 0) for partition in partitions}

    async def commit(self, places: Mapping[int, int]) -> None:
        self.committed |= places
