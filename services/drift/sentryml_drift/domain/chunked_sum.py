"""The rule that makes counts exact: a sum that knows which part of the log it holds.

For each source partition the sum remembers either the last sealed chunk, or the open chunk with the offset up to
which it is in. A partial of an older or sealed chunk, or of the open chunk and no larger offset, is ignored; of
the open chunk and a larger offset, it replaces; of a newer chunk, it seals the open one. So any replay, any
regrouping and any zombie leave the sum as it was.

          chunk 6 (sealed)   chunk 7 (open, through offset 28,900)
    ──────────────────────┬─────────────────────────┐
      in `sealed`         │ in `open`, replaced as  │   not seen yet
                          │ the chunk grows         │
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.partials import Label


class Additive(Protocol):
    """Values that add up, in any order and grouping, to the same result."""

    def __add__(self, other: Self, /) -> Self: ...

    def pack(self) -> bytes:
        """The value as bytes: equal values give equal bytes."""
        ...


T = TypeVar("T", bound=Additive)

VERSION = 1
_HEAD = struct.Struct("<BIH")  # version, length of the sealed value, number of sources
_SOURCE = struct.Struct("<IIqqI")  # source, epoch, chunk, offset, length of the open value (0: sealed)


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """How far one source partition is in: chunk `chunk` of `epoch`, sealed (`open` is None) or through `offset`."""

    epoch: int
    chunk: int
    offset: int
    open: T | None


@dataclass(frozen=True, slots=True)
class ChunkedSum(Generic[T]):
    """An additive value with, per source partition, the part of the log that is in it."""

    sealed: T
    sources: Mapping[int, Source[T]] = field(default_factory=dict)

    def apply(self, label: Label, value: T) -> ChunkedSum[T]:
        """Take in one partial; the same sum comes back where the partial is already in."""
        known = self.sources.get(label.source)
        sealed = self.sealed
        if known is not None:
            if (label.epoch, label.chunk) < (known.epoch, known.chunk):
                return self
            if (label.epoch, label.chunk) == (known.epoch, known.chunk):
                if known.open is None or label.offset <= known.offset:
                    return self
            elif known.open is not None:
                sealed = sealed + known.open
        if label.final:
            sealed, value_open = sealed + value, None
        else:
            value_open = value
        source = Source(label.epoch, label.chunk, label.offset, value_open)
        return ChunkedSum(sealed, {**self.sources, label.source: source})

    def total(self) -> T:
        """All that is in: sealed and open."""
        result = self.sealed
        for number in sorted(self.sources):
            counts = self.sources[number].open
            if counts is not None:
                result = result + counts
        return result

    def pack(self) -> bytes:
        """The sum as bytes, for the table."""
        sealed = self.sealed.pack()
        parts = [_HEAD.pack(VERSION, len(sealed), len(self.sources)), sealed]
        for number in sorted(self.sources):
            source = self.sources[number]
            counts = b"" if source.open is None else source.open.pack()
            parts += [_SOURCE.pack(number, source.epoch, source.chunk, source.offset, len(counts)), counts]
        return b"".join(parts)


def unpack_sum(packed: bytes, unpack_value: Callable[[bytes], T]) -> ChunkedSum[T]:
    """Read back what `pack` made.

    Raises:
        UndecodableMessage: the bytes are of another version, or cut short.
    """
    try:
        version, length, sources = _HEAD.unpack_from(packed, 0)
        if version != VERSION:
            raise UndecodableMessage("unknown_version", f"a table value has version {version}, expected {VERSION}")
        at = _HEAD.size
        sealed = unpack_value(packed[at : at + length])
        at += length
        found: dict[int, Source[T]] = {}
        for _ in range(sources):
            number, epoch, chunk, offset, length = _SOURCE.unpack_from(packed, at)
            at += _SOURCE.size
            found[number] = Source(epoch, chunk, offset, unpack_value(packed[at : at + length]) if length else None)
            at += length
    except struct.error as err:
        raise UndecodableMessage("cut_short", f"a table value breaks off: {err}") from err
    return ChunkedSum(sealed, found)
