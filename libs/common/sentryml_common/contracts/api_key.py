"""API keys: their form (`sml_<id>_<secret><crc>`) and `api-keys.v1`, from which ingest knows them without a
database. Only the SHA-256 of a key ever leaves the moment it is made."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from sentryml_common.contracts.message import Message, UtcDatetime

KEY_FORM = re.compile(r"^sml_(?P<id>[0-9a-z]{12})_(?P<secret>[0-9A-Za-z_-]{43})(?P<crc>[0-9a-f]{8})$")
KEY_IN_TEXT = re.compile(r"sml_([0-9a-z]{12})_[0-9A-Za-z_-]{32,}")
"""A key, or nearly one, anywhere in a text; made for secret scanners too."""


class Scope(StrEnum):
    """What a key may do; `admin` includes all others, `write` includes `read`."""

    EVENTS_WRITE = "events:write"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


INCLUDED = {
    Scope.EVENTS_WRITE: {Scope.EVENTS_WRITE},
    Scope.READ: {Scope.READ},
    Scope.WRITE: {Scope.WRITE, Scope.READ},
    Scope.ADMIN: set(Scope),
}


def form_key(key_id: str, secret: str) -> str:
    """Put a key together; `secret` is 32 random bytes in URL-safe base64 without padding (43 characters)."""
    body = f"sml_{key_id}_{secret}"
    return f"{body}{zlib.crc32(body.encode()):08x}"


def key_id_of(key: str) -> str | None:
    """Return the public id inside a well-formed key, or None: a typo is refused before any lookup."""
    match = KEY_FORM.match(key)
    if match is None or zlib.crc32(key[:-8].encode()) != int(match["crc"], 16):
        return None
    return match["id"]


def hash_key(key: str) -> str:
    """SHA-256 in hex. A fast hash is right for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()


def holds_key(text: str) -> bool:
    """Whether a text holds a key, or what was meant to be one."""
    return KEY_IN_TEXT.search(text) is not None


def without_keys(text: str) -> str:
    """The same text with only the public id left of each key in it."""
    return KEY_IN_TEXT.sub(r"sml_\1_…", text)


class ApiKey(Message):
    """A key as ingest knows it (key of the record: key_id)."""

    key_id: str
    name: str
    key_hash: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...] = ()
    expires_at: UtcDatetime | None = None
    revoked_at: UtcDatetime | None = None

    def opens(self, key: str, now: datetime) -> bool:
        """Whether `key` is this key, and still valid at `now`."""
        return self.is_valid(now) and hmac.compare_digest(self.key_hash, hash_key(key))

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: Scope) -> bool:
        """Whether the key carries a scope, itself or by inclusion."""
        return any(scope in INCLUDED[own] for own in self.scopes)

    def allows_model(self, model_id: str) -> bool:
        """Whether the key may access a model; no pattern means every model."""
        return not self.models or any(fnmatchcase(model_id, pattern) for pattern in self.models)
