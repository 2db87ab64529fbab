"""Exactness by construction: whatever is replayed, regrouped or said twice, the sums come out the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.chunked_sum import NOTHING, ChunkedSum, unpack_sum
from sentryml_drift.domain.chunks import ChunkRules, OpenChunk, chunk_of, end_of_chunk, start_of_chunk
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.pane_counts import PaneCounts
from sentryml_drift.domain.panes import PaneGrid
from sentryml_drift.domain.partials import (
    CHUNK_RECORDS,
    RECORD_BYTES_MAX,
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
from sentryml_drift.owned_models import SEALED_BYTES, OwnedModels, add_partial, kind_and_number, pane_of

RULES = ChunkRules(PaneRules(PaneGrid(60.0), 8 * 86_400, 300), epoch=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def an_event(model: str = "fraud", score: float | None = 0.5, at: float = NOON) -> EventRow:
    return EventRow(model_id=model, prediction="late", score=score, timestamp=datetime.fromtimestamp(at, UTC))


def add(chunk: OpenChunk, offset: int, events: list[EventRow]) -> None:
    chunk.add(offset, events, [NOON] * len(events))


def read(chunk: OpenChunk, log: list[list[EventRow]], offsets: range) -> None:
    for offset in offsets:
        add(chunk, offset, log[offset - start_of_chunk(chunk.number)])


def test_chunks_cut_the_offsets_without_gap_or_overlap() -> None:
    assert [chunk_of(start_of_chunk(7)), chunk_of(end_of_chunk(7))] == [7, 7]
    assert start_of_chunk(8) == end_of_chunk(7) + 1
    assert end_of_chunk(0) == CHUNK_RECORDS - 1


def test_a_partial_is_cumulative_within_its_chunk() -> None:
    chunk = OpenChunk(0, 0, RULES)
    log = [[an_event(score=n / 10)] for n in range(6)]
    read(chunk, log, range(0, 2))
    first = chunk.emit(final=False)
    read(chunk, log, range(2, 6))
    second = chunk.emit(final=True)
    totals = [PaneCounts.unpack(p.payload).total for p in (*first, *second) if p.target.kind is Kind.FINE]
    assert totals == [2, 6]
    assert [p.label.offset for p in second] == [5, 5, 5]
    assert all(p.label.final for p in second)


def test_only_touched_targets_are_emitted_again() -> None:
    chunk = OpenChunk(0, 0, RULES)
    add(chunk, 0, [an_event("a"), an_event("b")])
    assert {p.target.model_id for p in chunk.emit(final=False)} == {"a", "b"}
    add(chunk, 1, [an_event("b")])
    assert {p.target.model_id for p in chunk.emit(final=False)} == {"b"}
    assert chunk.emit(final=False) == []


def test_an_event_falls_into_a_fine_and_a_coarse_pane_and_an_old_one_into_the_coarse_alone() -> None:
    chunk = OpenChunk(0, 0, RULES)
    add(chunk, 0, [an_event("new"), an_event("old", at=NOON - 3 * 3600)])
    kinds = {(p.target.model_id, p.target.kind) for p in chunk.emit(final=False)}
    assert kinds == {
        ("new", Kind.FINE), ("new", Kind.COARSE), ("new", Kind.FACTS), ("old", Kind.COARSE), ("old", Kind.FACTS)
    }  # fmt: skip


def test_late_and_future_events_are_counted_as_such_and_nowhere_else() -> None:
    chunk = OpenChunk(0, 0, RULES)
    add(chunk, 0, [an_event(at=NOON - 9 * 86_400), an_event(at=NOON + 301), an_event(at=NOON + 299)])
    partials = {p.target.kind: p.payload for p in chunk.emit(final=False)}
    assert dict(chunk.outcomes) == {"late": 1, "future": 1, "counted": 1}
    facts = ModelFacts.unpack(partials[Kind.FACTS])
    assert (facts.late, facts.future, facts.last_seen) == (1, 1, NOON + 299)
    assert PaneCounts.unpack(partials[Kind.FINE]).total == 1


def test_an_event_without_a_timestamp_has_its_records() -> None:
    chunk = OpenChunk(0, 0, RULES)
    add(chunk, 0, [EventRow(model_id="m", prediction=1.0)])
    facts = next(p for p in chunk.emit(final=False) if p.target.kind is Kind.FACTS)
    assert ModelFacts.unpack(facts.payload).first_seen == NOON


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[list[EventRow]], random.Random]:
    records = draw(st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1), st.integers(0, 200)),
                                     max_size=3), min_size=1, max_size=30))  # fmt: skip
    log = [[an_event(model, score, NOON - ago) for model, score, ago in record] for record in records]
    return log, draw(st.randoms(use_true_random=False))


def random_readings(log: list[list[EventRow]], rng: random.Random) -> list[Partial]:
    """What several readers, killed and started over at random, emit of one chunk."""
    said: list[Partial] = []
    for _ in range(rng.randint(1, 4)):
        chunk, stop = OpenChunk(0, 0, RULES), rng.randint(1, len(log))
        for offset in range(stop):
            add(chunk, offset, log[offset])
            if rng.random() < 0.3:
                said += chunk.emit(final=False)
        said += chunk.emit(final=False)
    chunk = OpenChunk(0, 0, RULES)
    read(chunk, log, range(len(log)))
    return said + chunk.emit(final=True)


def summed(partials: list[Partial]) -> dict[Target, bytes]:
    sums: dict[Target, ChunkedSum] = {}
    for partial in partials:
        sums[partial.target] = add_partial(sums.get(partial.target, NOTHING), partial)
    return {target: add_up(target.kind, known.values()) for target, known in sums.items()}


@settings(max_examples=60)
@given(logs())
def test_replays_and_regroupings_leave_equal_bytes(case: tuple[list[list[EventRow]], random.Random]) -> None:
    log, rng = case
    once = OpenChunk(0, 0, RULES)
    read(once, log, range(len(log)))
    expected = summed(once.emit(final=True))
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


@pytest.mark.parametrize("kind", Kind)
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
