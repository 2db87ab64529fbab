"""The rule that makes counts exact: a sum that knows which part of the log it holds.

For each source partition the sum remembers either the last sealed chunk, or the open chunk with the offset up to
which it is in. A partial of an older or sealed chunk, or of the open chunk and no larger offset, is ignored; of
the open chunk and a larger offset, it replaces; of a newer chunk, it seals the open one. So any replay, any
regrouping and any zombie leave the sum as it was.

          chunk 6 (sealed)   chunk 7 (open, through offset 28,900)
    ──────────────────────┬─────────────────────────┐
      in `sealed`         │ in `open`, replaced as  │   not seen yet
                          │ the chunk grows         │

Values stay the bytes that came: most of them only replace the one before. Adding up needs them unpacked, which is
expensive, so sealed values gather, and are added up (`compact`) when together they have become too long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.partials import Label

VERSION = 2
_HEAD = struct.Struct(
    "<BHH"
)  # version, number of sealed values, number of sources; then the lengths of the values: u32
_SOURCE = struct.Struct("<IIqqI")  # source, epoch, chunk, offset, length of the open value (0: sealed)


class Source(NamedTuple):
    """How far one source partition is in: chunk `chunk` of `epoch`, sealed (`open` is None) or through `offset`."""

    epoch: int
    chunk: int
    offset: int
    open: bytes | None


@dataclass(frozen=True, slots=True)
class ChunkedSum:
    """What has been sealed, and per source partition the part of the log that is in. Values are packed."""

    sealed: tuple[bytes, ...] = ()
    sources: Mapping[int, Source] = field(default_factory=dict)

    def apply(self, label: Label, value: bytes) -> ChunkedSum:
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
                sealed = (*sealed, known.open)
        if label.final:
            sealed = (*sealed, value)
        source = Source(label.epoch, label.chunk, label.offset, None if label.final else value)
        return ChunkedSum(sealed, {**self.sources, label.source: source})

    def values(self) -> list[bytes]:
        """All that is in, sealed and open; added up, it is the sum."""
        opened = (self.sources[number].open for number in sorted(self.sources))
        return [*self.sealed, *(value for value in opened if value is not None)]

    def compact(self, most_bytes: int, add_up: Callable[[Sequence[bytes]], bytes]) -> ChunkedSum:
        """The same sum, with its sealed values added up if together they have more than `most_bytes`."""
        if len(self.sealed) < 2 or sum(map(len, self.sealed)) <= most_bytes:
            return self
        return ChunkedSum((add_up(self.sealed),), self.sources)

    def pack(self) -> bytes:
        """The sum as bytes, for the table."""
        lengths = struct.pack(f"<{len(self.sealed)}I", *map(len, self.sealed))
        parts = [_HEAD.pack(VERSION, len(self.sealed), len(self.sources)), lengths, *self.sealed]
        for number in sorted(self.sources):
            source = self.sources[number]
            value = source.open or b""
            parts += [_SOURCE.pack(number, source.epoch, source.chunk, source.offset, len(value)), value]
        return b"".join(parts)


NOTHING = ChunkedSum()


def unpack_sum(packed: bytes) -> ChunkedSum:
    """Read back what `pack` made.

    Raises:
        UndecodableMessage: the bytes are of another version, or cut short.
    """
    try:
        version, values, sources = _HEAD.unpack_from(packed, 0)
        if version != VERSION:
            raise UndecodableMessage("unknown_version", f"a table value has version {version}, expected {VERSION}")
        lengths = struct.unpack_from(f"<{values}I", packed, _HEAD.size)
        ends = list(accumulate(lengths, initial=_HEAD.size + 4 * values))
        at = ends[-1]
        found: dict[int, Source] = {}
        for _ in range(sources):
            number, epoch, chunk, offset, length = _SOURCE.unpack_from(packed, at)
            at += _SOURCE.size
            found[number] = Source(epoch, chunk, offset, packed[at : at + length] if length else None)
            at += length
    except struct.error as err:
        raise UndecodableMessage("cut_short", f"a table value is truncated: {err}") from err
    if at != len(packed):
        raise UndecodableMessage("cut_short", f"a table value has {len(packed)} bytes, expected {at}")
    return ChunkedSum(tuple(packed[begin:end] for begin, end in pairwise(ends)), found)
