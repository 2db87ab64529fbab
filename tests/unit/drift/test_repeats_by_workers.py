"""Workers that take a partition from each other count the first record of each request, and no other.

Each step of a worker may be its last, or come long after others have gone on: asking for the commit, reading the stored
ids, emitting, storing ids, committing. The log loses what is committed, the group loses its commits or is moved back.
The oracle compares all records that were ever written.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.combiner.partition import OpenPartition
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum
from sentryml_drift.domain.chunks import SIZE_CLASSES, ChunkRules, SizeClass
from sentryml_drift.domain.partials import SLICED, Kind, Partial, Target
from sentryml_drift.domain.payloads import counts_of, facts_of, slice_of
from sentryml_drift.domain.repeats import WINDOW, Piece, SeenIds
from sentryml_drift.domain.resume_offsets import Places
from sentryml_drift.domain.rows import PaneRules
from sentryml_statistics.time.panes import PaneGrid

PARTITION = 3
RULES = ChunkRules(PaneRules(PaneGrid(60.0), 8 * 86_400, 300), epoch=1)
NOON = 1_795_521_600.0
STEPS = (1, 1, 1, 1, 2, 70, 1_100, WINDOW // 4, WINDOW // 2, WINDOW)

Life = Iterator[None]
Counts = Counter[Target]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record of the log."""

    offset: int
    size_class: SizeClass
    events: list[EventRow]
    request_id: bytes | None


@dataclass(slots=True)
class World:
    """The log, of which all from `first` on is there still, and what combiners have made of it."""

    rng: random.Random
    log: list[Stored] = field(default_factory=list)
    first: int = 0
    committed: tuple[int, str] | None = None
    pieces: dict[bytes, bytes] = field(default_factory=dict)
    sums: dict[Target, ChunkedSum] = field(default_factory=dict)

    def append(self) -> None:
        """Write a record; every third one again."""
        rng, end = self.rng, self.log[-1].offset if self.log else WINDOW - 3
        offset, recent = end + rng.choice(STEPS), [each for each in self.log[-12:] if each.request_id]
        if recent and rng.random() < 0.4:
            again = rng.choice(recent)
            events, request_id = again.events, again.request_id
        else:
            events, request_id = self._events(), rng.choice([rng.randbytes(16), rng.randbytes(16), None])
        self.log.append(Stored(offset, rng.choice(SIZE_CLASSES), events, request_id))

    def _events(self) -> list[EventRow]:
        rng = self.rng
        return [
            # Many models: what one chunk says too much of a model, no later one hides.
            EventRow(
                f"model-{rng.randrange(60)}",
                1.0,
                None,
                NOON - rng.choice([0, 0, 7_300, 86_400]),
                version=rng.choice([None, "1", "2"]),
            )
            for _ in range(rng.randint(0, 2))
        ]

    def emit(self, partials: list[Partial]) -> None:
        """Take in partials, as the processor does."""
        for partial in partials:
            self.sums[partial.target] = self.sums.get(partial.target, NOTHING).apply(partial.label, partial.payload)

    def lose(self) -> None:
        """Lose what was committed of the log, or the commit, or have it moved back by hand."""
        rng = self.rng
        offset = self.committed[0] if self.committed is not None else self.first
        what = rng.choice(["retention", "retention", "lost", "moved"])
        if what == "retention":
            self.first = rng.randint(self.first, max(self.first, offset))
        elif what == "lost":
            self.committed = None
        else:
            self.committed = rng.randint(self.first, max(self.first, offset)), ""

    def counted(self) -> Counts:
        """Events by target."""
        counts: Counts = Counter()
        for target, known in self.sums.items():
            if target.kind in SLICED:
                counts[target] = slice_of(known.values()).counts.total
            elif target.kind is not Kind.FACTS:
                counts[target] = counts_of(known.values()).total
        return +counts

    def expected(self) -> Counts:
        """The same by comparing every record with all before it."""
        counts: Counts = Counter()
        for record in (each for each in self.log if not self._repeated(each)):
            for event in record.events:
                at = int(event.seconds())
                counts[Target(event.model_id, Kind.COARSE, at // 3600)] += 1
                if NOON - at < 7_200:
                    counts[Target(event.model_id, Kind.FINE, at // 60)] += 1
                if event.version is not None:
                    counts[Target(event.model_id, Kind.VERSION, at // 3600, event.version)] += 1
        return counts

    def _repeated(self, record: Stored) -> bool:
        return record.request_id is not None and any(
            each.request_id == record.request_id
            and each.offset < record.offset
            and each.offset // WINDOW >= record.offset // WINDOW - 1
            for each in self.log
        )


def life(world: World) -> Life:
    """A worker, step by step, until it is not asked for another one."""
    rng, commit = world.rng, world.committed
    yield
    stored = [(Piece.of_key(key), value) for key, value in world.pieces.items()]
    yield
    first, own = world.first, 0
    places = Places.all_from(first) if commit is None else Places.committed(*commit)
    position = max(first, places.offset)
    opened = OpenPartition(PARTITION, places, RULES, SeenIds(RULES.epoch, PARTITION, position, stored))
    while position >= world.first:  # else the log has lost what is next: it begins again
        for record in [each for each in world.log if each.offset >= position][: rng.randint(0, 8)]:
            repeated = opened.is_repeat(record.offset, record.request_id)
            chunk = opened.chunk_for(record.offset, record.size_class)
            if chunk is not None:
                chunk.add(record.offset, record.events, NOON, repeated=repeated)
            opened.read_through(record.offset)
            position = record.offset + 1
        if rng.random() < 0.5:
            yield
            continue
        partials = emission(opened, rng.choice([0, 1, 1000]))
        world.emit(partials[: len(partials) // 2])
        yield
        world.emit(partials[len(partials) // 2 :])
        changes = opened.ids.changes(own)
        yield
        for key, value in changes:
            if value is None:
                world.pieces.pop(key, None)
            else:
                world.pieces[key] = value
        places = opened.places()
        yield
        if rng.random() < 0.7:  # a commit may be refused
            own, world.committed = places.offset, (places.offset, places.metadata)


def emission(opened: OpenPartition, backfilled: int) -> list[Partial]:
    """What is emitted: all that is live, and some of what is not."""
    for chunk in opened.chunks():
        while chunk.waiting:
            chunk.count()
    opened.bring_forward()
    found = [partial for chunk in opened.chunks() for partial in chunk.take_live()]
    for chunk in opened.chunks():
        taken = min(backfilled, chunk.backfilled)
        found += chunk.take_backfilled(taken)
        backfilled -= taken
    return found


def run(seed: int) -> None:
    rng = random.Random(seed)
    world, workers = World(rng), list[Life]()
    for _ in range(rng.randint(20, 250)):
        what = rng.random()
        if what < 0.25:
            world.append()
        elif what < 0.3 and len(workers) < 3:
            workers.append(life(world))
        elif what < 0.33 and workers:
            workers.remove(rng.choice(workers))
        elif what < 0.37:
            world.lose()
        elif workers:
            worker = rng.choice(workers)
            if next(worker, StopIteration) is StopIteration:
                workers.remove(worker)
    last = life(world)
    for _ in range(8 * (len(world.log) + 20)):
        next(last)
    assert world.counted() == world.expected(), f"seed {seed}"
    facts = [facts_of(known.values()) for target, known in world.sums.items() if target.kind is Kind.FACTS]
    assert sum(each.late + each.future for each in facts) == 0


@pytest.mark.parametrize("block", range(4))
def test_the_first_of_each_request_is_counted_by_any_worker_from_any_place(block: int) -> None:
    for seed in range(40 * block, 40 * block + 40):
        run(seed)
