"""A partition is read by one worker after another, each from where a commit says: nothing is lost or counted twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow
from sentryml_drift.combiner.partition import OpenPartition
from sentryml_drift.domain.chunks import SIZE_CLASSES, ChunkRules, SizeClass
from sentryml_drift.domain.partials import Kind, Label, Partial, Target
from sentryml_drift.domain.payloads import counts_of
from sentryml_drift.domain.resume_offsets import Places
from sentryml_drift.domain.rows import PaneRules
from sentryml_statistics.time.panes import PaneGrid
from tests.unit.drift.test_chunks import summed

RULES = ChunkRules(PaneRules(PaneGrid(60.0), 8 * 86_400, 300), epoch=1)
NOON = 1_795_521_600.0
LONGEST = SIZE_CLASSES[0].offsets


@dataclass(frozen=True, slots=True)
class Stored:
    """A record of the log: where it lies, how long it is, what it holds."""

    offset: int
    size_class: SizeClass
    events: list[EventRow]


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Stored], random.Random]:
    """Records of all sizes with holes between them, over the borders of all kinds of chunks."""
    rng, offset, log = draw(st.randoms(use_true_random=False)), LONGEST - draw(st.integers(0, 200)), []
    for _ in range(draw(st.integers(1, 120))):
        offset += rng.choice([1, 1, 1, 1, 2, 5, 60])
        events = [
            EventRow(
                rng.choice("ab"),
                float(rng.random() < 0.5),
                None,
                NOON - rng.choice([0, 30, 7_000, 7_190, 7_300, 86_400]),
            )
            for _ in range(rng.randint(0, 3))
        ]
        log.append(Stored(offset, rng.choice(SIZE_CLASSES), events))
    return log, rng


@dataclass(slots=True)
class Worker:
    """Reads from some places on, and may lag behind the others or be gone at any moment."""

    opened: OpenPartition
    emitted: list[Partial] = field(default_factory=list)

    def read(self, record: Stored) -> None:
        chunk = self.opened.chunk_for(record.offset, record.size_class)
        if chunk is not None:
            chunk.add(record.offset, record.events, NOON)
        self.opened.read_through(record.offset)

    def emit(self, backfilled: int) -> Places:
        """Emit what is live and some of what is backfilled; return what may be committed then."""
        for chunk in self.opened.chunks():
            while chunk.waiting:
                chunk.count()
        self.opened.bring_forward()
        for chunk in self.opened.chunks():
            self.emitted += chunk.take_live()
        for chunk in self.opened.chunks():
            taken = min(backfilled, chunk.backfilled)
            self.emitted += chunk.take_backfilled(taken)
            backfilled -= taken
        return self.opened.places()


def reading(log: list[Stored], rng: random.Random, places: Places) -> tuple[list[Partial], Places]:
    """One worker's life; what it emitted, and the last places that it committed."""
    worker, committed = Worker(OpenPartition(3, places, RULES)), places
    for record in log[: rng.randint(0, len(log))]:
        if record.offset < places.offset:
            continue
        worker.read(record)
        if rng.random() < 0.2:
            found = worker.emit(rng.randint(0, 3))
            committed = found if rng.random() < 0.7 else committed  # a commit may be refused
    return worker.emitted, committed


def whole(log: list[Stored], places: Places) -> list[Partial]:
    worker = Worker(OpenPartition(3, places, RULES))
    for record in log:
        if record.offset >= places.offset:
            worker.read(record)
    worker.emit(1000)
    return worker.emitted


@settings(max_examples=60)
@given(logs())
def test_who_reads_on_from_a_commit_leaves_the_sums_of_one_reading(
    case: tuple[list[Stored], random.Random],
) -> None:
    log, rng = case
    places = Places.all_from(log[0].offset)
    expected, said = summed(whole(log, places)), []
    for _ in range(rng.randint(1, 5)):
        emitted, committed = reading(log, rng, places)
        said += emitted
        # The next one may have been given an older commit; or somebody has moved the group, within what was committed.
        places = rng.choice([committed, committed, places])
        if rng.random() < 0.2:
            places = Places.committed(rng.randint(places.offset, committed.offset), "")
    said += whole(log, places)
    replayed = said + rng.sample(said, len(said))
    assert summed(replayed) == expected


@settings(max_examples=60)
@given(logs())
def test_what_is_committed_is_emitted(case: tuple[list[Stored], random.Random]) -> None:
    """Nothing before the places of a commit is needed again: the log's end brings all the rest."""
    log, rng = case
    start = Places.all_from(log[0].offset)
    emitted, committed = reading(log, rng, start)
    rest = [each for each in log if each.offset >= committed.offset]
    assert summed(emitted + whole(rest, committed)) == summed(whole(log, start))


def by_chunk(partials: list[Partial], begin: int) -> dict[tuple[Target, Label], bytes]:
    """Of chunks that begin at `begin` or later: what was emitted of each, and under which label."""
    return {
        (partial.target, partial.label): partial.payload
        for partial in partials
        if partial.label.chunk * SIZE_CLASSES[partial.label.source % len(SIZE_CLASSES)].offsets >= begin
    }


@settings(max_examples=60)
@given(logs(), st.integers(0, 200))
def test_where_reading_begins_moves_no_cut(case: tuple[list[Stored], random.Random], later: int) -> None:
    """Somebody else may begin elsewhere, as where retention has removed what was to be read again."""
    log, _ = case
    begin = log[0].offset + later
    emitted = [whole(log, Places.all_from(first)) for first in (log[0].offset, begin)]
    assert by_chunk(emitted[0], begin) == by_chunk(emitted[1], begin)


def test_only_less_than_a_chunk_of_each_size_is_read_again() -> None:
    worker, large = Worker(OpenPartition(0, Places.all_from(0), RULES)), SIZE_CLASSES[3]
    event = EventRow("model", 1.0, None, NOON)
    for offset in range(50):
        worker.read(Stored(offset, SIZE_CLASSES[0] if offset == 5 else large, [event]))
    places = worker.emit(0)
    assert places.needed == (5, 50, 50, 48), "the chunk of small records began at 5, that of large ones at 48"
    assert Places.committed(places.offset, places.metadata) == places
    again = Worker(OpenPartition(0, places, RULES))
    taken = [offset for offset in range(5, 50) if again.opened.chunk_for(offset, large)]
    assert taken == [48, 49]


@pytest.mark.parametrize("metadata", ["", "1:", "2:9,9,9,9", "1:20000,1,2,3", "1:20000,20000,20000", "by hand"])
def test_a_commit_that_is_not_ours_is_taken_back_to_the_start_of_the_longest_chunk(metadata: str) -> None:
    assert Places.committed(20_000, metadata) == Places.all_from(LONGEST)


def test_backfilled_targets_keep_a_commit_back_until_they_are_emitted() -> None:
    worker = Worker(OpenPartition(0, Places.all_from(0), RULES))
    old = [EventRow("model", 1.0, None, NOON - day * 86_400) for day in range(1, 6)]
    for offset in range(8):
        worker.read(Stored(offset, SIZE_CLASSES[3], old))
    assert worker.emit(0).offset == 0
    assert worker.emit(100).offset == 8
    panes = [each for each in worker.emitted if each.target.kind is Kind.COARSE]
    assert sum(counts_of([each.payload]).total for each in panes) == 8 * 5
    assert worker.opened.chunks() == []
