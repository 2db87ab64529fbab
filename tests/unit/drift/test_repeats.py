"""Which records are repeats is a function of the log alone, by whom and from where it is read."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_drift.domain.repeats import IDS_PER_PIECE, WINDOW, Entry, Piece, SeenIds, first_needed

STEPS = (1, 1, 1, 2, 700, WINDOW // 2, WINDOW - 1, WINDOW, WINDOW + 1)


def an_id(number: int) -> bytes:
    """The id of a request; also such that end with zeros."""
    return number.to_bytes(1, "little") + bytes(15)


def repeats_in(log: Iterable[Entry]) -> set[int]:
    """The offsets of repeats, by comparing each record with all others."""
    entries = list(log)
    return {
        offset
        for offset, request_id in entries
        if any(
            before < offset and same == request_id and before // WINDOW >= offset // WINDOW - 1
            for before, same in entries
        )
    }


def repeats_read(ids: SeenIds, log: Iterable[Entry]) -> set[int]:
    return {offset for offset, request_id in log if ids.is_repeat(offset, request_id)}


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Records with ids, over several windows."""
    offsets = accumulate(draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=50)), initial=WINDOW - 2)
    return [(offset, an_id(draw(st.integers(0, 3)))) for offset in offsets]


@pytest.mark.parametrize(
    ("first", "second", "repeated"),
    [
        (0, 1, True),
        (0, WINDOW, True),
        (0, 2 * WINDOW - 1, True),
        (0, 2 * WINDOW, False),
        (WINDOW - 1, 2 * WINDOW - 1, True),
        (WINDOW - 1, 2 * WINDOW, False),
        (WINDOW, 3 * WINDOW - 1, True),
        (WINDOW, 3 * WINDOW, False),
        (5, 9 * WINDOW, False),
    ],
)
def test_an_id_is_known_in_its_window_and_the_next(first: int, second: int, repeated: bool) -> None:
    ids = SeenIds(1, 0)
    assert not ids.is_repeat(first, an_id(1))
    assert not ids.is_repeat(first + 1, an_id(2)) or second == first + 1
    assert ids.is_repeat(second, an_id(1)) is repeated


def test_each_further_repeat_is_one_and_keeps_the_id_known() -> None:
    log = [
        (offset, an_id(1)) for offset in (10, 11, WINDOW + 5, 2 * WINDOW + 5, 3 * WINDOW, 5 * WINDOW, 5 * WINDOW + 1)
    ]
    assert repeats_read(SeenIds(1, 0), log) == {11, WINDOW + 5, 2 * WINDOW + 5, 3 * WINDOW, 5 * WINDOW + 1}


def test_a_retry_after_a_minute_at_500_records_a_second_is_known() -> None:
    for start in (0, 1, WINDOW - 1):
        assert start + 60 * 500 < first_needed(start) + 2 * WINDOW
        assert repeats_in([(start, an_id(1)), (start + 60 * 500, an_id(1))])


@given(logs())
def test_one_reading_finds_what_comparing_all_records_finds(log: list[Entry]) -> None:
    assert repeats_read(SeenIds(1, 0), log) == repeats_in(log)


class Kafka:
    """The topic of the pieces; a commit."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.committed = 0

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value

    def stored(self) -> list[tuple[Piece, bytes]]:
        return [(Piece.of_key(key), value) for key, value in self.values.items()]


@settings(max_examples=200)
@given(logs(), st.randoms(use_true_random=False))
def test_who_begins_at_a_commit_finds_the_same_without_the_log_before_it(log: list[Entry], rng: random.Random) -> None:
    """Workers read one after another; what is before a commit, the log has lost. Late ones write again."""
    kafka, late, expected = Kafka(), list[tuple[bytes, bytes | None]](), repeats_in(log)
    for _ in range(6):
        start = kafka.committed
        ids, own_commit = SeenIds(1, 0, start, kafka.stored()), 0
        for offset, request_id in [entry for entry in log if entry[0] >= start]:
            assert ids.is_repeat(offset, request_id) is (offset in expected)
            if rng.random() < 0.3:
                changes = ids.changes(own_commit)
                late += changes
                kafka.write(changes)
                if rng.random() < 0.5:  # somewhere at or before what has been read
                    own_commit = kafka.committed = rng.randint(kafka.committed, offset + 1)
            if rng.random() < 0.1:
                kafka.write(each for each in rng.sample(late, len(late)) if each[1] is not None)
            if rng.random() < 0.05:
                break


def test_pieces_that_nobody_needs_any_more_are_deleted() -> None:
    kafka, ids = Kafka(), SeenIds(2, 3, stored=[(Piece(1, 3, 7, 9), b""), (Piece(3, 3, 0, 1), b"")])
    kafka.values = {piece.key: b"" for piece in (Piece(1, 3, 7, 9), Piece(3, 3, 0, 1))}
    for number, offset in enumerate(range(0, 6 * WINDOW, WINDOW // 4)):
        ids.is_repeat(offset, an_id(number))
        kafka.write(ids.changes(max(0, offset - WINDOW // 4)))
        of_own = [piece for piece, _ in kafka.stored() if piece.epoch == 2]
        assert len(of_own) <= 13
    assert {piece.epoch for piece, _ in kafka.stored()} == {2, 3}, "those of an older incarnation of the topic are gone"
    last = 6 * WINDOW - WINDOW // 4
    assert min(piece.first for piece in of_own) == first_needed(last - WINDOW // 4)


def test_ids_of_another_incarnation_are_not_known() -> None:
    piece = Piece(1, 0, 5, 5)
    stored = [(piece, piece.pack([(5, an_id(1))]))]
    assert SeenIds(1, 0, 6, stored).is_repeat(6, an_id(1))
    assert not SeenIds(2, 0, 6, stored).is_repeat(6, an_id(1))


def test_many_ids_are_written_in_pieces_of_bounded_size() -> None:
    ids, kafka = SeenIds(1, 0), Kafka()
    log = [(offset, offset.to_bytes(16, "big")) for offset in range(7, 7 + 2 * IDS_PER_PIECE + 5)]
    assert not repeats_read(ids, log)
    kafka.write(ids.changes(0))
    assert [piece.last - piece.first + 1 for piece, _ in kafka.stored()] == [IDS_PER_PIECE, IDS_PER_PIECE, 5]
    assert max(map(len, kafka.values.values())) < 500_000
    assert ids.changes(0) == []
    again = SeenIds(1, 0, log[-1][0] + 1, kafka.stored())
    assert all(again.is_repeat(log[-1][0] + 1 + n, request_id) for n, (_, request_id) in enumerate(log[::1000]))


def test_what_a_key_names_is_read_back() -> None:
    piece = Piece(3, 12, 70_000, 99_999)
    assert piece.key == b"3:12:70000:99999"
    assert Piece.of_key(piece.key) == piece
    entries = [(70_000, an_id(1)), (99_999, bytes(16))]
    assert list(piece.unpack(piece.pack(entries))) == entries
