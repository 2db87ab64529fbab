"""What the headers of a request say of its body: its form, its compression, and what to do with bad events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sentryml_common.http.problems import Problem
from sentryml_ingest.domain.body_forms import Form
from sentryml_ingest.domain.encodings import BadlyCompressed, Encoding, TooLongUnpacked, unpacked

Headers = Mapping[bytes, bytes]

FORMS = {
    b"application/json": Form.JSON,
    b"application/x-ndjson": Form.LINES,
    b"application/ndjson": Form.LINES,
    b"application/jsonl": Form.LINES,
    b"application/x-jsonlines": Form.LINES,
}
LENIENT = b"handling=lenient"
ENCODINGS = ", ".join(Encoding)
GZIP = b"\x1f\x8b"
"""How a gzip body begins, whatever its headers say."""


@dataclass(frozen=True, slots=True)
class Content:
    """A body as its headers describe it."""

    form: Form
    encoding: Encoding | None
    lenient: bool


PLAIN = Content(Form.JSON, None, lenient=False)


def content_of(headers: Headers) -> Content:
    """What a request says of its body.

    Raises:
        Problem: 415, naming what was sent and what is accepted.
    """
    encoding, prefer = headers.get(b"content-encoding"), headers.get(b"prefer")
    media_type = headers.get(b"content-type", Form.JSON.encode())
    if media_type == b"application/json" and encoding is None and prefer is None:
        return PLAIN
    lenient = prefer is not None and LENIENT in [each.strip().lower() for each in prefer.split(b",")]
    return Content(_form_of(media_type), _encoding_of((encoding or b"identity").strip().lower()), lenient)


def _form_of(media_type: bytes) -> Form:
    name = media_type.partition(b";")[0].strip().lower()
    form = FORMS.get(name)
    if form is None:
        raise Problem(415, "not-json", f"send application/json or application/x-ndjson, not {name.decode('latin-1')}")
    return form


def _encoding_of(name: bytes) -> Encoding | None:
    if name == b"identity":
        return None
    try:
        return Encoding(name.removeprefix(b"x-").decode("latin-1"))
    except ValueError:
        detail = f"Content-Encoding: {name.decode('latin-1')} is not supported: {ENCODINGS} are"
        raise Problem(415, "unsupported-content-encoding", detail, headers={"Accept-Encoding": ENCODINGS}) from None


def read_packed(body: bytes, encoding: Encoding | None, most_bytes: int) -> bytes:
    """A body without its compression.

    Raises:
        Problem: 413 it is too long; 415 it is compressed, and no header says so; 422 it is not what its header says.
    """
    if encoding is None:
        if body.startswith(GZIP):
            detail = "the body is compressed with gzip: say so with Content-Encoding: gzip"
            raise Problem(415, "unsupported-content-encoding", detail, headers={"Accept-Encoding": ENCODINGS})
        return body
    try:
        return unpacked(body, encoding, most_bytes)
    except BadlyCompressed as err:
        raise Problem(422, "badly-compressed", f"{err}: compress it as Content-Encoding says", errors=[]) from None
    except TooLongUnpacked:
        detail = f"unpacked, a body may hold {most_bytes:,} bytes: send fewer events at a time"
        raise Problem(413, "body-too-large", detail) from None
