"""Requests that may be sent again: an `Idempotency-Key` becomes the id of the record, by which drift knows repeats."""

from __future__ import annotations

import re
from hashlib import blake2b

from sentryml_common.contracts.prediction import REQUEST_ID_BYTES
from sentryml_common.errors import SentryMLError

MOST_CHARACTERS = 255
_ALLOWED = re.compile(rb"[\x21-\x7e]{1,%d}" % MOST_CHARACTERS)


class BadIdempotencyKey(SentryMLError):
    """The header's value cannot be used; the text says what can."""


def request_id_of(key_id: str, idempotency_key: bytes) -> bytes:
    """The id of a request: the same whenever the same API key sends the same idempotency key, and no other's.

    Raises:
        BadIdempotencyKey: it is empty, too long, or holds something else than visible ASCII characters.
    """
    if not _ALLOWED.fullmatch(idempotency_key):
        raise BadIdempotencyKey(
            f"Idempotency-Key must be 1 to {MOST_CHARACTERS} visible ASCII characters without blanks, this one has "
            f"{len(idempotency_key)} bytes: send a UUID, a new one for each request and the same one to retry it"
        )
    # Neither part can be mistaken for a part of the other: an idempotency key has no blank.
    return blake2b(key_id.encode() + b" " + idempotency_key, digest_size=REQUEST_ID_BYTES).digest()
