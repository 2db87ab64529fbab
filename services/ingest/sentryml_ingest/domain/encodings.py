"""Compressed bodies: unpacked to a bounded length, so that a few kilobytes never become gigabytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from enum import StrEnum

import zstandard


class Encoding(StrEnum):
    """How a body may be compressed (`Content-Encoding`, RFC 9110; zstd: RFC 8878)."""

    GZIP = "gzip"
    ZSTD = "zstd"
    DEFLATE = "deflate"


class BadlyCompressed(ValueError):
    """A body is not what its encoding says, or ends too soon."""


class TooLongUnpacked(ValueError):
    """A body has more bytes than are unpacked."""


_ZLIB, _GZIP, _RAW = 15, 31, -15
"""What zlib calls the three formats."""
LARGEST_WINDOW = 1 << 23
"""Of zstd, in bytes: what RFC 8878 asks every decoder to support. It says how much memory a frame needs."""


def unpacked(body: bytes, encoding: Encoding, most_bytes: int) -> bytes:
    """What a body holds.

    Raises:
        BadlyCompressed: it cannot be unpacked.
        TooLongUnpacked: that has more than `most_bytes` bytes; nothing beyond them was unpacked.
    """
    try:
        found = _UNPACK[encoding](body, most_bytes + 1)
    except (zlib.error, zstandard.ZstdError) as err:
        raise BadlyCompressed(f"the body is not {encoding}: {err}") from None
    if len(found) > most_bytes:
        raise TooLongUnpacked
    return found


def _gzip(body: bytes, most: int) -> bytes:
    """All members: gzip files may be put one after the other."""
    found = b""
    while body and len(found) < most:
        part, body = _inflated(body, _GZIP, most - len(found))
        found += part
    return found


def _deflate(body: bytes, most: int) -> bytes:
    """With zlib's frame, as the standard has it, or without, as some send it."""
    try:
        return _inflated(body, _ZLIB, most)[0]
    except zlib.error:
        return _inflated(body, _RAW, most)[0]


def _inflated(body: bytes, form: int, most: int) -> tuple[bytes, bytes]:
    """What a stream holds, and what comes after it."""
    stream = zlib.decompressobj(form)
    found = stream.decompress(body, most)
    if not stream.eof and len(found) < most:
        raise zlib.error("it ends too soon")
    return found, stream.unused_data


def _zstd(body: bytes, most: int) -> bytes:
    """All frames. First as far as is allowed; only what is known to be short is then unpacked as a whole, which shows
    whether its end is there."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    found = decompressor.stream_reader(io.BytesIO(body), read_across_frames=True).read(most)
    if len(found) == most:
        return found
    while body:
        frame = decompressor.decompressobj()
        frame.decompress(body)
        if not frame.eof:
            raise zstandard.ZstdError("it ends too soon")
        body = frame.unused_data
    return found


_UNPACK: dict[Encoding, Callable[[bytes, int], bytes]] = {
    Encoding.GZIP: _gzip,
    Encoding.ZSTD: _zstd,
    Encoding.DEFLATE: _deflate,
}
