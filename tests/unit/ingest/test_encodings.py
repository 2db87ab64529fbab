"""Compressed bodies: what they hold, to a bounded length; cut or broken ones are refused."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sentryml_ingest.domain.encodings import BadlyCompressed, Encoding, TooLongUnpacked, unpacked

MOST = 10_000


def raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(text) + stream.flush()


def unsized_zstd(text: bytes) -> bytes:
    """As a stream writes it, which does not know its length yet."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(text)


PACK: dict[str, tuple[Encoding, Callable[[bytes], bytes]]] = {
    "gzip": (Encoding.GZIP, gzip.compress),
    "zstd": (Encoding.ZSTD, zstandard.ZstdCompressor().compress),
    "zstd as a stream": (Encoding.ZSTD, unsized_zstd),
    "deflate": (Encoding.DEFLATE, zlib.compress),
    "deflate without its frame": (Encoding.DEFLATE, raw_deflate),
}
ways = pytest.mark.parametrize(("encoding", "pack"), PACK.values(), ids=PACK)


@ways
@given(text=st.binary(min_size=1, max_size=MOST))
def test_what_was_packed_comes_out(encoding: Encoding, pack: Callable[[bytes], bytes], text: bytes) -> None:
    assert unpacked(pack(text), encoding, MOST) == text


@ways
def test_the_limit_itself_is_unpacked_and_no_byte_more(encoding: Encoding, pack: Callable[[bytes], bytes]) -> None:
    assert unpacked(pack(b"x" * MOST), encoding, MOST) == b"x" * MOST
    with pytest.raises(TooLongUnpacked):
        unpacked(pack(b"x" * (MOST + 1)), encoding, MOST)


@ways
def test_a_bomb_is_not_unpacked(encoding: Encoding, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"0" * 100_000_000)
    with pytest.raises(TooLongUnpacked):
        unpacked(bomb, encoding, MOST)


@ways
@given(data=st.data())
def test_a_body_that_was_cut_is_refused(
    encoding: Encoding, pack: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    packed = pack(bytes(range(256)) * 20)
    cut = packed[: data.draw(st.integers(1, len(packed) - 1))]
    with pytest.raises(BadlyCompressed, match=f"the body is not {encoding}"):
        unpacked(cut, encoding, MOST)


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("body", [b"{}", b"\x00" * 40, b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_what_is_not_compressed_like_that_is_refused(encoding: Encoding, body: bytes) -> None:
    with pytest.raises(BadlyCompressed):
        unpacked(body, encoding, MOST)


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.ZSTD])
def test_one_after_the_other_are_read_on(encoding: Encoding) -> None:
    _, pack = PACK[encoding.value]
    assert unpacked(pack(b"first ") + pack(b"second"), encoding, MOST) == b"first second"
    with pytest.raises(TooLongUnpacked):
        unpacked(pack(b"x" * MOST) + pack(b"x"), encoding, MOST)


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packed.compress(b"x" * 100) + packed.flush()
    with pytest.raises(BadlyCompressed, match="memory"):
        unpacked(body, Encoding.ZSTD, MOST)
