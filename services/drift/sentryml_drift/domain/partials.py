"""Partials: what the combiner sends to the processor, and how a record on `histograms.v1` packs them.

A partial says: of chunk `chunk` of source partition `source`, read up to and including `offset`, this much falls
to one target. It is cumulative within its chunk and a function of the log alone, so of two partials with the
same source, epoch, chunk and target, the one with the larger offset contains the other.

A record is a version byte, then the partials one after another; integers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from sentryml_common.errors import UndecodableMessage
from sentryml_statistics.time.panes import Resolution

VERSION = 1
RECORD_BYTES_MAX = 512 * 1024
_HEADER = struct.Struct("<BqIIqqBHI")  # kind, pane, source, epoch, chunk, offset, final, name length, payload length


class Kind(IntEnum):
    """What a partial adds to: a fine pane, a coarse pane, the facts known of the model, or a coarse pane of one of its
    versions or segments. Of arrivals, which the table holds as well, there are no partials but reports."""

    FINE = 0
    COARSE = 1
    FACTS = 2
    ARRIVALS = 3
    VERSION = 4
    SEGMENT = 5


SLICED = (Kind.VERSION, Kind.SEGMENT)
_KINDS = {int(kind): kind for kind in Kind if kind is not Kind.ARRIVALS}

KIND_OF = {Resolution.FINE: Kind.FINE, Resolution.COARSE: Kind.COARSE}


class Target(NamedTuple):
    """What is added to: `pane` is the pane's number at its resolution, 0 for facts. `value` is the name of the version
    or segment, and empty where the kind is none of a slice."""

    model_id: str
    kind: Kind
    pane: int
    value: str = ""

    @property
    def name(self) -> str:
        """The model and the value as one text. No model's id has the character in between."""
        return f"{self.model_id}|{self.value}" if self.kind in SLICED else self.model_id

    @classmethod
    def named(cls, name: str, kind: Kind, pane: int) -> Target:
        """The target of a kind and pane with such a name."""
        if kind not in SLICED:
            return cls(name, kind, pane)
        model_id, _, value = name.partition("|")
        return cls(model_id, kind, pane, value)


class Label(NamedTuple):
    """Which part of the log a partial covers: `chunk` of `source` from its first record through that at `offset`.

    `source` names a size class of a source partition, `final` says that the chunk is complete, `epoch` counts the
    incarnations of the source topic.
    """

    source: int
    epoch: int
    chunk: int
    offset: int
    final: bool


class Partial(NamedTuple):
    """One cumulative partial; `payload` is the packed value (counts of a pane, those of a slice, or facts)."""

    target: Target
    label: Label
    payload: bytes


@lru_cache(maxsize=1 << 16)
def partition_of(model_id: str, partitions: int) -> int:
    """The partition of `histograms.v1`, and of the tables, that holds a model: crc32(model_id) % partitions."""
    return zlib.crc32(model_id.encode()) % partitions


def pack(partial: Partial) -> bytes:
    """One partial as bytes."""
    target, label = partial.target, partial.label
    name = target.name.encode()
    header = _HEADER.pack(
        target.kind,
        target.pane,
        label.source,
        label.epoch,
        label.chunk,
        label.offset,
        label.final,
        len(name),
        len(partial.payload),
    )
    return header + name + partial.payload


def pack_records(partials: Iterable[Partial], partitions: int) -> Iterator[tuple[int, bytes]]:
    """(partition, record) pairs that hold `partials` in their order per partition, split at 512 KB."""
    waiting: dict[int, bytearray] = {}
    for partial in partials:
        partition = partition_of(partial.target.model_id, partitions)
        packed = pack(partial)
        record = waiting.setdefault(partition, bytearray([VERSION]))
        if len(record) > 1 and len(record) + len(packed) > RECORD_BYTES_MAX:
            yield partition, bytes(record)
            record = waiting[partition] = bytearray([VERSION])
        record += packed
    for partition, record in waiting.items():
        yield partition, bytes(record)


def unpack_record(record: bytes) -> list[Partial]:
    """The partials of one record, in their order.

    Raises:
        UndecodableMessage: the record is of an unknown version, or cut short.
    """
    if not record or record[0] != VERSION:
        raise UndecodableMessage("unknown_version", f"histogram record starts with {record[:1]!r}, expected {VERSION}")
    partials, at = [], 1
    try:
        while at < len(record):
            kind, pane, source, epoch, chunk, offset, final, name_length, length = _HEADER.unpack_from(record, at)
            at += _HEADER.size
            name, payload = record[at : at + name_length], record[at + name_length : at + name_length + length]
            if len(payload) != length:
                raise UndecodableMessage("cut_short", f"histogram record ends inside a partial at byte {at}")
            at += name_length + length
            target = Target.named(name.decode(), _KINDS[kind], pane)
            partials.append(Partial(target, Label(source, epoch, chunk, offset, bool(final)), payload))
    except (struct.error, UnicodeDecodeError, KeyError) as err:
        raise UndecodableMessage("cut_short", f"histogram record is truncated at byte {at}: {err}") from err
    return partials
