"""Slices are counted beside the whole: they add up to it, are bounded, and change nothing of it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import EventRow
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.chunks import OpenChunk
from sentryml_drift.domain.partials import (
    SLICED,
    Kind,
    Label,
    Partial,
    Target,
    pack_records,
    partition_of,
    unpack_record,
)
from sentryml_drift.domain.payloads import check_payload
from sentryml_drift.domain.slices import MOST_PER_CHUNK, SliceCounts
from sentryml_drift.state.table import key_of, target_of
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.panes import Resolution
from tests.unit.drift.test_chunks import NOON, RULES, add, an_event, emit

TWELVE = RULES.panes.grid.pane_of(NOON, Resolution.COARSE)
ELEVEN = TWELVE - 1
SOME = st.none() | st.sampled_from(["2.2", "2.3", "a|b", "日本"])
EVENTS = st.lists(
    st.builds(
        an_event,
        st.sampled_from("ab"),
        st.none() | st.floats(0, 1),
        st.integers(0, 90_000).map(lambda ago: NOON - ago),
        SOME,
        SOME,
    ),
    max_size=40,
)


def counted(events: list[EventRow], *, complete: bool = True) -> dict[Target, bytes]:
    """What one chunk of a record for each event emits."""
    chunk = OpenChunk(0, 0, 0, RULES)
    for offset, event in enumerate(events):
        add(chunk, offset, [event])
    return {partial.target: partial.payload for partial in emit(chunk, complete=complete)}


def test_each_version_and_each_segment_of_a_coarse_pane_is_a_target_of_its_own() -> None:
    found = counted(
        [
            an_event(version="2.2", segment="eu", at=NOON + 10),
            an_event(version="2.3", segment="eu", at=NOON + 20),
            an_event(version="2.3", at=NOON + 15),
            an_event(version="2.3", at=NOON - 60),
            an_event(),
        ]
    )
    slices = {target: SliceCounts.unpack(packed) for target, packed in found.items() if target.kind in SLICED}
    assert {target[1:]: (each.counts.total, each.first - NOON) for target, each in slices.items()} == {
        (Kind.VERSION, TWELVE, "2.2"): (1, 10),
        (Kind.VERSION, TWELVE, "2.3"): (2, 15),
        (Kind.VERSION, ELEVEN, "2.3"): (1, -60),
        (Kind.SEGMENT, TWELVE, "eu"): (2, 10),
    }


@settings(max_examples=60)
@given(EVENTS)
def test_a_slice_counts_what_its_events_alone_would(events: list[EventRow]) -> None:
    found = counted(events)
    for kind, field in ((Kind.VERSION, "version"), (Kind.SEGMENT, "segment")):
        for value in {getattr(event, field) for event in events} - {None}:
            alone = counted([event for event in events if getattr(event, field) == value])
            panes = {target: packed for target, packed in alone.items() if target.kind is Kind.COARSE}
            assert {
                Target(target.model_id, Kind.COARSE, target.pane): SliceCounts.unpack(packed).counts.pack()
                for target, packed in found.items()
                if (target.kind, target.value) == (kind, value)
            } == panes


@settings(max_examples=60)
@given(EVENTS)
def test_slices_change_no_byte_of_the_whole_and_unsliced_models_emit_none(events: list[EventRow]) -> None:
    plain = [EventRow(each.model_id, each.prediction, each.score, each.timestamp) for each in events]
    found = counted(events)
    assert {target: packed for target, packed in found.items() if target.kind not in SLICED} == counted(plain)
    sliced = {event.model_id for event in events if event.version or event.segment}
    assert {target.model_id for target in found if target.kind in SLICED} == sliced


def test_a_chunk_counts_the_values_that_came_first_however_it_is_read_and_ever_the_same() -> None:
    events = [an_event(segment=f"user-{number}", at=NOON - number) for number in range(2 * MOST_PER_CHUNK)]
    chunk, said = OpenChunk(0, 0, 0, RULES), list[Partial]()
    for offset, event in enumerate([*events, *events[::-1]]):
        add(chunk, offset, [event])
        if offset % 150 == 0:
            said += emit(chunk)
    said += emit(chunk)
    values = Counter(partial.target.value for partial in said if partial.target.kind is Kind.SEGMENT)
    assert values.keys() == {f"user-{number}" for number in range(MOST_PER_CHUNK)}
    whole = OpenChunk(0, 0, 0, RULES)
    add(whole, 0, [*events, *events[::-1]])
    assert {target.value for partial in emit(whole) if (target := partial.target).kind is Kind.SEGMENT} == values.keys()


def test_events_that_are_not_counted_take_no_place() -> None:
    late = [an_event(segment=f"late-{number}", at=NOON - 9 * 86_400) for number in range(MOST_PER_CHUNK)]
    found = counted([*late, an_event(segment="eu")])
    assert [target.value for target in found if target.kind is Kind.SEGMENT] == ["eu"]


def test_the_heaviest_values_are_emitted_first_by_name_where_equal() -> None:
    weights = {"a": 1, "b": 3, "c": 3, "d": 2}
    events = [an_event(version=value) for value, count in weights.items() for _ in range(count)]
    assert [target.value for target in counted(events) if target.kind is Kind.VERSION] == ["b", "c", "d", "a"]


def test_what_only_older_events_have_touched_waits_in_slices_too() -> None:
    chunk = OpenChunk(0, 0, 0, RULES)
    add(chunk, 0, [an_event(version="2.2", at=NOON - 3 * 3600), an_event(version="2.3")])
    chunk.count()
    assert {partial.target.value for partial in chunk.take_live()} == {"", "2.3"}
    assert {partial.target.value for partial in chunk.take_backfilled(99)} == {"", "2.2"}


@pytest.mark.parametrize("value", ["2.3", "a|b", "||", "日" * 64, "\u202eeu", " "])
def test_any_value_finds_its_way_through_the_topic_and_the_table(value: str) -> None:
    target = Target("m:1", Kind.SEGMENT, -5, value)
    payload = SliceCounts(NOON, PaneCounts.of(["late"], [0.5])).pack()
    partial = Partial(target, Label(1, 1, 2, 3, final=False), payload)
    [(partition, record)] = pack_records([partial], 6)
    assert partition == partition_of("m:1", 6)
    assert unpack_record(record) == [partial]
    assert target_of(key_of(target)) == target


def test_keys_of_what_is_no_slice_are_as_ever() -> None:
    assert key_of(Target("m:1", Kind.COARSE, 7)) == b"1|7|m:1"
    assert target_of(b"1|7|m:1") == Target("m:1", Kind.COARSE, 7)


@pytest.mark.parametrize("payload", [b"", b"\x01", bytes(8), bytes(8) + b"neither counts nor facts"])
def test_a_payload_that_is_no_slice_is_refused(payload: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        check_payload(Kind.VERSION, payload)


def test_the_first_event_of_a_sum_is_the_earliest() -> None:
    one, other = (SliceCounts(NOON + at, PaneCounts.of(["late"], [0.5])) for at in (5, -5))
    assert SliceCounts.unpack((one + other).pack()) == one + other
    assert datetime.fromtimestamp((one + other).first, UTC) == datetime.fromtimestamp(NOON - 5, UTC)
