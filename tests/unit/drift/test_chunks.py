"""Exactness by construction: whatever is replayed, regrouped or said twice, the sums come out the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum, unpack_sum
from sentryml_drift.domain.chunks import (
    CHUNK_BYTES,
    MOST_RECORD_BYTES,
    ROWS_AT_ONCE,
    SIZE_CLASSES,
    UNPACKED_TARGETS,
    ChunkRules,
    OpenChunk,
    SizeClass,
    size_class_of,
    source_of,
)
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import (
    RECORD_BYTES_MAX,
    SLICED,
    Kind,
    Label,
    Partial,
    Target,
    pack_records,
    partition_of,
    unpack_record,
)
from sentryml_drift.domain.payloads import add_up, facts_of
from sentryml_drift.domain.rows import PaneRules
from sentryml_drift.processor.models import SEALED_BYTES, OwnedModels, add_partial, kind_and_number, pane_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import PaneGrid, Resolution

RULES = ChunkRules(PaneRules(PaneGrid(60.0), 8 * 86_400, 300), epoch=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def an_event(
    model: str = "fraud",
    score: float | None = 0.5,
    at: float = NOON,
    version: str | None = None,
    segment: str | None = None,
) -> EventRow:
    time = datetime.fromtimestamp(at, UTC)
    return EventRow(model, prediction="late", score=score, timestamp=time, version=version, segment=segment)


def add(chunk: OpenChunk, offset: int, events: list[EventRow]) -> None:
    chunk.add(offset, events, NOON)


def emit(chunk: OpenChunk, *, complete: bool = False) -> list[Partial]:
    """Count what waits, and emit all that has been touched."""
    chunk.complete = complete
    while chunk.waiting:
        chunk.count()
    return [*chunk.take_live(), *chunk.take_backfilled(chunk.backfilled)]


def read(chunk: OpenChunk, log: list[list[EventRow]], offsets: range) -> None:
    for offset in offsets:
        add(chunk, offset, log[offset])


@pytest.mark.parametrize("size_class", SIZE_CLASSES)
def test_chunks_cut_the_offsets_without_gap_or_overlap_and_hold_so_many_bytes_at_most(size_class: SizeClass) -> None:
    last = size_class.end_of(7) - 1
    assert [size_class.chunk_of(offset) for offset in (last - size_class.offsets, last, last + 1)] == [6, 7, 8]
    assert size_class.offsets * size_class.most_bytes == CHUNK_BYTES


def test_the_size_class_is_the_shortest_that_fits_and_cuts_of_longer_ones_nest_in_those_of_shorter_ones() -> None:
    lengths = (0, 512, 513, 8_192, 8_193, 131_072, 131_073, MOST_RECORD_BYTES)
    assert [found.number for length in lengths if (found := size_class_of(length))] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert size_class_of(MOST_RECORD_BYTES + 1) is None
    assert all(short.offsets % longer.offsets == 0 for short, longer in pairwise(SIZE_CLASSES))


def test_each_size_class_of_each_partition_is_a_source_of_its_own() -> None:
    sources = {source_of(partition, size_class) for partition in range(50) for size_class in SIZE_CLASSES}
    assert len(sources) == 50 * len(SIZE_CLASSES)


def test_a_partial_is_cumulative_within_its_chunk() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    log = [[an_event(score=n / 10)] for n in range(6)]
    read(chunk, log, range(0, 2))
    first = emit(chunk)
    read(chunk, log, range(2, 6))
    second = emit(chunk, complete=True)
    totals = [PaneCounts.unpack(p.payload).total for p in (*first, *second) if p.target.kind is Kind.FINE]
    assert totals == [2, 6]
    assert [p.label.offset for p in second] == [5, 5, 5]
    assert all(p.label.final for p in second)


def test_only_touched_targets_are_emitted_again() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event("a"), an_event("b")])
    assert {p.target.model_id for p in emit(chunk)} == {"a", "b"}
    add(chunk, 1, [an_event("b")])
    assert {p.target.model_id for p in emit(chunk)} == {"b"}
    assert emit(chunk) == []


def test_an_event_falls_into_a_fine_and_a_coarse_pane_and_an_old_one_into_the_coarse_alone() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event("new"), an_event("old", at=NOON - 3 * 3600)])
    kinds = {(p.target.model_id, p.target.kind) for p in emit(chunk)}
    assert kinds == {
        ("new", Kind.FINE), ("new", Kind.COARSE), ("new", Kind.FACTS), ("old", Kind.COARSE), ("old", Kind.FACTS)
    }  # fmt: skip


def test_what_only_older_events_have_touched_waits_behind_what_is_live() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    days_ago = [an_event("old", at=NOON - day * 86_400) for day in range(1, 7)]
    add(chunk, 0, [*days_ago, an_event("new")])
    chunk.count()
    assert {p.target.model_id for p in chunk.take_live()} == {"new"}
    assert (set(chunk.live), chunk.backfilled, chunk.emitted) == (set(), 7, False)
    first = list(chunk.take_backfilled(3))
    add(chunk, 1, days_ago[:1])
    chunk.count()
    rest = list(chunk.take_backfilled(100))
    assert (len(first), chunk.emitted) == (3, True)
    assert {p.target for p in [*first, *rest]} == {Target("old", Kind.FACTS, 0)} | {
        Target("old", Kind.COARSE, RULES.panes.grid.pane_of(each.seconds(), Resolution.COARSE)) for each in days_ago
    }
    assert {PaneCounts.unpack(p.payload).total for p in rest if p.target.kind is Kind.COARSE} == {1, 2}


def test_a_live_event_brings_a_backfilled_target_forward() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event(at=NOON - 86_400), an_event()])
    chunk.count()
    assert {p.target.kind for p in chunk.take_live()} == {Kind.FINE, Kind.COARSE, Kind.FACTS}
    assert [p.target.kind for p in chunk.take_backfilled(9)] == [Kind.COARSE]


def test_rows_are_counted_in_steps_of_bounded_size() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event()] * (2 * ROWS_AT_ONCE + 1))
    steps = []
    while chunk.waiting:
        steps.append(chunk.waiting)
        chunk.count()
    assert steps == [2 * ROWS_AT_ONCE + 1, ROWS_AT_ONCE + 1, 1]
    assert chunk.outcomes == {"counted": 2 * ROWS_AT_ONCE + 1}


def test_sums_of_a_chunk_with_very_many_targets_are_the_same_though_they_are_kept_packed() -> None:
    many = [an_event(f"model-{n}", score=n / 1e6) for n in range(UNPACKED_TARGETS // 2)]
    packed, unpacked = OpenChunk(0, 0, 0, RULES), OpenChunk(0, 0, 0, RULES)
    for offset in range(2):
        add(packed, offset, many)
        emitted = emit(packed, complete=offset == 1)
        add(unpacked, offset, many)
    assert emitted == emit(unpacked, complete=True)


def test_late_and_future_events_are_counted_as_such_and_nowhere_else() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event(at=NOON - 9 * 86_400), an_event(at=NOON + 301), an_event(at=NOON + 299)])
    partials = {p.target.kind: p.payload for p in emit(chunk)}
    assert dict(chunk.outcomes) == {"late": 1, "future": 1, "counted": 1}
    facts = ModelFacts.unpack(partials[Kind.FACTS])
    assert (facts.late, facts.future, facts.last_seen) == (1, 1, NOON + 299)
    assert PaneCounts.unpack(partials[Kind.FINE]).total == 1


def test_an_event_without_a_timestamp_has_its_records() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [EventRow(model_id="m", prediction=1.0)])
    facts = next(p for p in emit(chunk) if p.target.kind is Kind.FACTS)
    assert ModelFacts.unpack(facts.payload).first_seen == NOON


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[list[EventRow]], random.Random]:
    some = st.none() | st.sampled_from(["2.2", "2.3", "eu"])
    event = st.builds(
        an_event, st.sampled_from("ab"), st.floats(0, 1), st.integers(0, 200).map(lambda ago: NOON - ago), some, some
    )
    log = draw(st.lists(st.lists(event, max_size=3), min_size=1, max_size=30))
    return log, draw(st.randoms(use_true_random=False))


def random_readings(log: list[list[EventRow]], rng: random.Random) -> list[Partial]:
    """What several readers, killed and started over at random, emit of one chunk."""
    said: list[Partial] = []
    for _ in range(rng.randint(1, 4)):
        chunk, stop = OpenChunk(0, 0, 0, RULES), rng.randint(1, len(log))
        for offset in range(stop):
            add(chunk, offset, log[offset])
            if rng.random() < 0.3:
                said += emit(chunk)
        said += emit(chunk)
    chunk = OpenChunk(0, 0, 0, RULES)
    read(chunk, log, range(len(log)))
    return said + emit(chunk, complete=True)


def summed(partials: list[Partial]) -> dict[Target, bytes]:
    sums: dict[Target, ChunkedSum] = {}
    for partial in partials:
        sums[partial.target] = add_partial(sums.get(partial.target, NOTHING), partial)
    return {target: add_up(target.kind, known.values()) for target, known in sums.items()}


@settings(max_examples=60)
@given(logs())
def test_replays_and_regroupings_leave_equal_bytes(case: tuple[list[list[EventRow]], random.Random]) -> None:
    log, rng = case
    once = OpenChunk(0, 0, 0, RULES)
    read(once, log, range(len(log)))
    expected = summed(emit(once, complete=True))
    said = random_readings(log, rng)
    twice = said + rng.sample(said, len(said))  # the processor, too, reads some of it again
    assert summed(twice) == expected


def late(count: int) -> bytes:
    return ModelFacts(late=count).pack()


def late_of(known: ChunkedSum) -> int:
    return facts_of(known.values()).late


@pytest.mark.parametrize(
    ("label", "count", "expected"),
    [
        (Label(0, 1, 5, 10, False), 9, 3),  # same chunk, no larger offset: ignored
        (Label(0, 1, 5, 20, False), 9, 9),  # same chunk, larger offset: replaces
        (Label(0, 1, 4, 99, False), 9, 3),  # older chunk: ignored
        (Label(0, 1, 6, 60, False), 9, 12),  # newer chunk: seals
        (Label(0, 2, 0, 1, False), 9, 12),  # newer epoch: seals, though chunk and offset are small
        (Label(1, 1, 5, 10, False), 9, 12),  # another source partition: adds
        (Label(0, 1, 5, 20, True), 9, 9),  # final: replaces and seals
    ],
)
def test_the_rule_of_chunk_and_offset(label: Label, count: int, expected: int) -> None:
    known = NOTHING.apply(Label(0, 1, 5, 10, False), late(3))
    assert late_of(known.apply(label, late(count))) == expected


def test_a_sealed_chunk_takes_nothing_more() -> None:
    sealed = NOTHING.apply(Label(0, 1, 5, 4095, True), late(3))
    assert sealed.apply(Label(0, 1, 5, 9999, False), late(7)) is sealed


def test_a_sum_survives_the_table() -> None:
    known = NOTHING.apply(Label(0, 1, 5, 10, False), late(3)).apply(Label(2, 1, 0, 4, True), late(1))
    assert unpack_sum(known.pack()) == known
    with pytest.raises(UndecodableMessage, match="version"):
        unpack_sum(b"\xff" + known.pack()[1:])
    for cut in (0, 20, len(known.pack()) - 1):
        with pytest.raises(UndecodableMessage):
            unpack_sum(known.pack()[:cut])


def test_sealed_values_gather_and_are_added_up_before_they_are_many() -> None:
    known, most = NOTHING, 0
    for chunk in range(500):
        label = Label(chunk % 3, 1, chunk, 10, final=True)
        known = add_partial(known, Partial(Target("model", Kind.FACTS, 0), label, late(1)))
        most = max(most, len(known.sealed))
        assert sum(map(len, known.sealed)) <= SEALED_BYTES[Kind.FACTS]
        assert late_of(unpack_sum(known.pack())) == chunk + 1
    assert 20 < most < 150


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in SLICED])
@pytest.mark.parametrize("number", [0, 7, -7, 2**62, -(2**63)])
def test_a_pane_is_its_kind_and_number(kind: Kind, number: int) -> None:
    assert kind_and_number(pane_of(kind, number)) == (kind, number)


def test_a_sum_that_was_put_is_got_and_never_an_older_one() -> None:
    models, target = OwnedModels(), Target("model", Kind.FACTS, 0)
    first, second = (NOTHING.apply(Label(0, 1, 5, 10, False), late(count)) for count in (1, 2))
    models.put(0, target, first.pack())
    assert models.get(target) == first
    models.put(0, target, second.pack())
    assert models.get(target) == second
    models.drop(0)
    assert models.get(target) is None


@pytest.mark.parametrize("kind", Kind)
def test_a_payload_that_is_not_counts_is_undecodable_before_it_is_taken_in(kind: Kind) -> None:
    partial = Partial(Target("model", kind, 0), Label(0, 1, 0, 5, False), b"\x01\x02 neither counts nor facts")
    with pytest.raises(UndecodableMessage):
        add_partial(NOTHING, partial)


def test_records_hold_partials_by_partition_and_are_split_by_size() -> None:
    label = Label(3, 1, 2, 9000, False)
    partials = [Partial(Target(f"m{n}", Kind.FINE, -5), label, bytes(100_000)) for n in range(24)]
    records = list(pack_records(partials, 4))
    assert all(len(record) <= RECORD_BYTES_MAX for _, record in records)
    found = [(partition, partial) for partition, record in records for partial in unpack_record(record)]
    assert sorted(p.target.model_id for _, p in found) == sorted(p.target.model_id for p in partials)
    assert all(partition == partition_of(p.target.model_id, 4) for partition, p in found)
    assert {p.label for _, p in found} == {label}


@pytest.mark.parametrize("record", [b"", b"\x07", b"\x01\x00\x00", b"\x01" + bytes(60) + b"\xff"])
def test_a_broken_record_is_undecodable(record: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        unpack_record(record + (b"\xff" * 50 if len(record) > 40 else b""))


def test_a_complete_chunk_keeps_no_sum_that_has_been_emitted() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event(f"live-{n}") for n in range(50)] + [an_event("old", at=NOON - 86_400)])
    chunk.count()
    assert len(list(chunk.take_live())) == 150
    chunk.complete = True
    assert list(chunk.take_live()) == []
    assert len(chunk._sums) == chunk.backfilled == 2
    assert len(list(chunk.take_backfilled(9))) == 2
    assert not chunk._sums
