"""Bytes of histograms: what is packed comes back, anything else is refused with our own errors."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.errors import UndecodableMessage
from sentryml_statistics.histograms.codec import _body_of_many, _body_of_one, pack_histograms, unpack_histograms
from sentryml_statistics.histograms.histogram import EMPTY, Histogram
from sentryml_statistics.histograms.pane_counts import EMPTY_PANE, PaneCounts, merge_panes

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples" / "histograms" / "v1"
RANDOM = np.random.default_rng(11)
HISTOGRAMS = {
    "empty": EMPTY,
    "one number": Histogram.of([0.25]),
    "extremes": Histogram.of([-1.7e308, -1e-300, 0.0, 1.0, 1.7e308]),
    "scores": Histogram.of(RANDOM.beta(2, 5, 20_000)),
    "both signs": Histogram.of(RANDOM.normal(0, 1, 20_000)),
    "large counts": Histogram.of(categories={"ok": 2**40, "late": 1}, nulls=70_000),
    "many names": Histogram.of(categories=[f"näme {i}" for i in range(3000)]),
    "all kinds": Histogram.of([0.1, 0.1, -3], ["true", "", "a\x00b"], 5),
}


def pack(histogram: Histogram) -> bytes:
    return pack_histograms((histogram,))


def unpack(packed: bytes) -> Histogram:
    return unpack_histograms(packed, 1)[0]


def sealed(content: bytes) -> bytes:
    return content + struct.pack("<I", crc32(content))


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_what_is_packed_comes_back(name: str) -> None:
    assert unpack(pack(HISTOGRAMS[name])) == HISTOGRAMS[name]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=80),
    st.lists(st.text(max_size=128), max_size=80),
    st.integers(0, 2**50),
)
def test_anything_that_is_packed_comes_back(numbers: list[float], names: list[str], nulls: int) -> None:
    histogram = Histogram.of(numbers, names, nulls)
    assert unpack(pack(histogram)) == histogram


@pytest.mark.parametrize("nulls", [0, 1, 255, 256, 70_000, 2**40])
@pytest.mark.parametrize("numbers", [[], [0.25], [-1e300] * 300])
def test_the_short_way_for_one_number_gives_the_bytes_of_the_long_one(numbers: list[float], nulls: int) -> None:
    histogram = Histogram.of(numbers, nulls=nulls)
    assert _body_of_one(histogram) == _body_of_many(histogram)


def test_a_pane_comes_back_with_both_signals() -> None:
    counts = PaneCounts.of(["late", True, 3, 0.5], [0.25, None, 1, None])
    assert PaneCounts.unpack(counts.pack()) == counts
    assert counts.prediction == Histogram.of([3, 0.5], ["late", "true"])
    assert counts.score == Histogram.of([0.25, 1.0], nulls=2)
    assert counts.total == counts.score.total == 4


def test_panes_add_subtract_and_merge_signal_by_signal() -> None:
    one, other = PaneCounts.of(["ok", "late"], [0.1, 0.9]), PaneCounts.of(["ok", False], [0.1, None])
    assert one + other == merge_panes([one, other]) == PaneCounts.of(["ok", "late", "ok", False], [0.1, 0.9, 0.1, None])
    assert (one + other) - other == one
    assert merge_panes([]) == EMPTY_PANE


def test_bytes_are_small() -> None:
    assert len(pack(Histogram.of([0.25, 0.5, 0.75]))) < 48
    scores = HISTOGRAMS["scores"]
    assert len(pack(scores)) < 3 * len(scores.numbers.cells)


def test_the_bytes_of_version_2_are_read_for_ever() -> None:
    head = "02 01" + "04 01 00 00 0200 0100"  # version, histograms │ gaps of 4 bytes, counts of 1, 2 cells, 1 name
    cells = "000080fe01000000" + "00000001"  # b(¼), and the way to the cell of ¾
    rest = "02 01" + "01" + "02" + "0400 6c617465" + "8eda0887"  # counts, of the name, of nulls, the name, checksum
    packed = bytes.fromhex(head + cells + rest)
    assert unpack(packed) == Histogram.of([0.25, 0.25, 0.75], ["late"], 2)
    assert pack(Histogram.of([0.25, 0.25, 0.75], ["late"], 2)) == packed


VERSION_1 = {
    "few": Histogram.of(
        [s * k / w for w, s in ((10, -1), (10, 1), (100, 1)) for k in range(w + 1)] + [1e-300, -3e300, 1234.5, 1e-310],
        ["late"],
        2,
    ),
    "close": Histogram.of(1 + np.arange(1100) * 2.0**-40),
    "many": Histogram.of(np.arange(1, 2000) / 2000),
}


@pytest.mark.parametrize("name", VERSION_1)
def test_the_bytes_of_version_1_are_read_in_the_cells_of_today(name: str) -> None:
    packed = bytes.fromhex((EXAMPLES / f"numbers-{name}.hex").read_text())
    assert packed[0] == 1
    assert unpack(packed) == VERSION_1[name]


@given(st.binary(max_size=80))
def test_garbage_is_undecodable(garbage: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        unpack(garbage)


@given(st.sampled_from([b"\x01\x01", b"\x02\x01"]), st.binary(max_size=80))
def test_garbage_under_a_good_checksum_raises_nothing_but_ours(head: bytes, garbage: bytes) -> None:
    with suppress(UndecodableMessage):
        assert isinstance(unpack(sealed(head + garbage)), Histogram)


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_damaged_bytes_are_undecodable(name: str) -> None:
    packed = pack(HISTOGRAMS[name])
    for at in range(0, len(packed), max(1, len(packed) // 50)):
        damaged = bytearray(packed)
        damaged[at] ^= 0x10
        with pytest.raises(UndecodableMessage):
            unpack(bytes(damaged))
        with pytest.raises(UndecodableMessage):
            unpack(packed[:at])


def test_another_version_or_number_of_histograms_is_named() -> None:
    with pytest.raises(UndecodableMessage, match="unknown_version"):
        unpack(sealed(b"\x03" + pack(EMPTY)[1:-4]))
    with pytest.raises(UndecodableMessage, match="1 histograms are packed, expected 2"):
        PaneCounts.unpack(pack(EMPTY))
