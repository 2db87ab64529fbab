"""What the processor needs of whatever brings it its input: a narrow port, so that it runs on any log.

The stream says to the processor which partitions are ours (`assigned`), that they may be going (`revoked`, awaited
before any other worker gets them), and what has come (`take`, one batch at a time). It may repeat records, leave some
out, and bring some late: the processor keeps its own place, and goes back to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

BATCH_BYTES = 1024 * 1024
"""At most this much is made durable at once: after a long absence there is far more input than fits into memory."""


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One record of the input, as it came in a `generation` of the group."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    generation: int
    headers: tuple[tuple[str, bytes], ...] = ()


class InputStream(Protocol):
    """The partitions of the input that the group gives this worker."""

    @property
    def generation(self) -> int:
        """That of the group, as far as this worker knows."""

    @property
    def rebalancing(self) -> bool:
        """Whether the group is sharing out the partitions: ours may be going to another worker."""

    async def is_member(self) -> bool:
        """Whether the group has just confirmed that this worker belongs to it, and so owns what it was given."""

    async def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset; what is on its way already may still come first."""

    async def first_offset(self, partition: int) -> int:
        """The first offset of a partition that still exists."""

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last record of partitions."""

    async def commit(self, places: Mapping[int, int]) -> None:
        """Say how far the work has come, for tools that show lag; nobody here reads it."""


def by_bytes(records: Iterable[InputRecord]) -> Iterator[list[InputRecord]]:
    """Cut records into batches of about BATCH_BYTES."""
    batch: list[InputRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.value or b"")
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
