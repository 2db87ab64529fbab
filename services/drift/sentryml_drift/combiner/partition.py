"""One source partition while it is read: its open chunks, and the complete ones that are not emitted to the end."""

from __future__ import annotations

from sentryml_drift.domain.chunks import SIZE_CLASSES, ChunkRules, OpenChunk, SizeClass, source_of
from sentryml_drift.domain.repeats import SeenIds
from sentryml_drift.domain.resume_offsets import Places


class OpenPartition:
    """A partition that is read from its places on, without a gap; `offset` is the next one to be read, `ids` are those
    of the records before it."""

    def __init__(self, number: int, places: Places, rules: ChunkRules, ids: SeenIds | None = None) -> None:
        self.offset, self.ids = places.offset, ids or SeenIds(rules.epoch, number)
        self._number, self._rules = number, rules
        self._needed = places.needed
        self._open: dict[SizeClass, OpenChunk] = {}
        self._complete: list[tuple[SizeClass, OpenChunk]] = []
        self._first_end = 0

    def chunk_for(self, offset: int, size_class: SizeClass) -> OpenChunk | None:
        """The chunk that the record at `offset` belongs to; None where its events are known to be in already."""
        if offset < self._needed[size_class.number]:
            return None
        self._close_before(offset)
        chunk = self._open.get(size_class)
        if chunk is None:
            number = size_class.chunk_of(offset)
            chunk = OpenChunk(source_of(self._number, size_class), number, offset, self._rules)
            self._open[size_class] = chunk
            self._first_end = min(size.end_of(each.number) for size, each in self._open.items())
        return chunk

    def is_repeat(self, offset: int, request_id: bytes | None) -> bool:
        """Take in the id of the record at `offset`, if it has one, and say whether the record is a repeat."""
        return request_id is not None and self.ids.is_repeat(offset, request_id)

    def read_through(self, offset: int) -> None:
        """All records up to and including `offset` are in."""
        self.offset = offset + 1
        self._close_before(self.offset)

    def _close_before(self, offset: int) -> None:
        """Close the chunks that end at or before `offset`: nothing more can come into them."""
        if not self._open or offset < self._first_end:
            return
        for size_class, chunk in list(self._open.items()):
            if size_class.end_of(chunk.number) <= offset:
                chunk.complete = True
                self._complete.append((size_class, self._open.pop(size_class)))
        self._first_end = min((size.end_of(each.number) for size, each in self._open.items()), default=0)

    @property
    def complete(self) -> list[OpenChunk]:
        """The chunks that are complete and not emitted to the end."""
        return [chunk for _, chunk in self._complete]

    def complete_work(self) -> int:
        """Live targets of complete chunks that wait to be emitted, and rows of them that wait to be counted."""
        return sum(len(chunk.live) + chunk.waiting for _, chunk in self._complete)

    def chunks(self) -> list[OpenChunk]:
        """All chunks that hold something, those of each source in their order."""
        return [*self.complete, *self._open.values()]

    def bring_forward(self) -> None:
        """Make what is live in a chunk live in the earlier ones of its source, so that it is emitted in their order. Of
        complete chunks, all rows have to be counted."""
        for _, chunk in self._complete:
            chunk.finish()
        if any(chunk.backfilled for _, chunk in self._complete):
            live = {size_class: set(chunk.live) for size_class, chunk in self._open.items()}
            for size_class, chunk in reversed(self._complete):
                later = live.setdefault(size_class, set())
                chunk.bring_forward(later)
                later |= chunk.live

    def places(self) -> Places:
        """What is needed again after a restart, once everything emitted until now is acknowledged."""
        self._complete = [(size_class, chunk) for size_class, chunk in self._complete if not chunk.emitted]
        firsts = {size_class: chunk.first for size_class, chunk in self._open.items()}
        for size_class, chunk in reversed(self._complete):
            firsts[size_class] = chunk.first
        return Places(tuple(max(firsts.get(each, self.offset), self._needed[each.number]) for each in SIZE_CLASSES))
