"""Repeats: records of a request that is in the log already, by the id in their headers.

A record is a repeat if its id stands earlier in its own window of WINDOW offsets of the partition, or in the window
before that. So the log alone decides, and of a partition at most twice as many ids are kept:

    window 3                │ window 4                │ window 5
    ──────a─────────────b───┼────a────────────────────┼──a─────────b────
          first         first    repeat                  repeat    first again: that of window 3 is forgotten

Who begins to read in the middle has to know the ids before. They are kept in `request-ids.v1`: whichever worker has
read some adds them there as a piece, before it commits anything behind them. Pieces are facts about the log, each
under a key of its own. So it does no harm if one is written twice, or late, or if pieces overlap. One is deleted once
nobody needs it who begins at what has been committed.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Self

WINDOW = 32_768
"""It decides what is counted, as the size of chunks does: never a setting, never changed."""
IDS_PER_PIECE = 16_384
"""Some 330 KB."""

_ENTRY = struct.Struct("<I16s")  # offset, counted from the first one of the piece; id

Entry = tuple[int, bytes]
"""An offset, and the id of the record there."""
Change = tuple[bytes, bytes | None]
"""A key of the topic with its value; None where it is deleted."""


class Piece(NamedTuple):
    """Which entries a record of `request-ids.v1` holds: those of a source partition between two offsets."""

    epoch: int
    partition: int
    first: int
    last: int

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return b"%d:%d:%d:%d" % self

    @classmethod
    def of_key(cls, key: bytes) -> Self:
        """Read back what `key` gave.

        Raises:
            ValueError: it is no such key.
        """
        epoch, partition, first, last = map(int, key.split(b":"))
        return cls(epoch, partition, first, last)

    def pack(self, entries: Iterable[Entry]) -> bytes:
        """Its entries as the value of the record."""
        return b"".join(_ENTRY.pack(offset - self.first, request_id) for offset, request_id in entries)

    def unpack(self, value: bytes) -> Iterator[Entry]:
        """Read back what `pack` made.

        Raises:
            struct.error: it is cut short.
        """
        return ((self.first + offset, request_id) for offset, request_id in _ENTRY.iter_unpack(value))


def first_needed(offset: int) -> int:
    """The first offset whose id is needed by who reads from `offset` on."""
    return max(0, offset // WINDOW - 1) * WINDOW


class SeenIds:
    """The ids of a partition that is read from `start` on; `stored` are the pieces that Kafka holds of it."""

    def __init__(self, epoch: int, partition: int, start: int = 0, stored: Iterable[tuple[Piece, bytes]] = ()) -> None:
        self._epoch, self._partition = epoch, partition
        self._window, self._ids, self._ids_before = -1, set[bytes](), set[bytes]()
        self._unstored: list[Entry] = []
        pieces = sorted((each for each in stored if each[0].epoch <= epoch), key=lambda each: _place(each[0]))
        self._stored = deque(piece for piece, _ in pieces)
        needed = first_needed(start)
        known = {
            entry
            for piece, value in pieces
            if piece.epoch == epoch and needed <= piece.last and piece.first < start
            for entry in piece.unpack(value)
            if needed <= entry[0] < start
        }
        for offset, request_id in sorted(known):
            self._take(offset, request_id)

    def is_repeat(self, offset: int, request_id: bytes) -> bool:
        """Take in the next record with an id, and say whether it is a repeat."""
        self._unstored.append((offset, request_id))
        return self._take(offset, request_id)

    def _take(self, offset: int, request_id: bytes) -> bool:
        window = offset // WINDOW
        if window != self._window:
            self._ids_before = self._ids if window == self._window + 1 else set()
            self._window, self._ids = window, set()
        known = request_id in self._ids or request_id in self._ids_before
        self._ids.add(request_id)
        return known

    def changes(self, committed: int) -> list[Change]:
        """What is to be written before anything else is committed: the ids that are new since the last call, and the
        deletion of pieces that nobody needs who reads from the offset that has been committed."""
        new, self._unstored = iter(self._unstored), []
        changes: list[Change] = []
        while entries := list(islice(new, IDS_PER_PIECE)):
            piece = Piece(self._epoch, self._partition, entries[0][0], entries[-1][0])
            self._stored.append(piece)
            changes.append((piece.key, piece.pack(entries)))
        needed = Piece(self._epoch, self._partition, 0, first_needed(committed))
        while self._stored and _place(self._stored[0]) < _place(needed):
            changes.append((self._stored.popleft().key, None))
        return changes


def _place(piece: Piece) -> tuple[int, int]:
    """The order in which pieces become useless."""
    return piece.epoch, piece.last
