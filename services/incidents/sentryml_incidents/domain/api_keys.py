"""Making and rotating API keys: pure, time and randomness are arguments."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.transition import Actor

ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
RANDOM_BYTES = 48
NAME_LENGTH_MAX = 100
MODELS_MAX = 100
OVERLAP_DEFAULT = timedelta(days=1)
OVERLAP_MAX = timedelta(days=30)
EXPIRES_SOON = timedelta(days=14)
MODEL_PATTERN = r"^[A-Za-z0-9._:*?\[\]!-]{1,128}$"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what only people want to know of it."""

    key: ApiKey
    created_at: datetime
    created_by: Actor
    rotated_from: str | None = None
    replaced_by: str | None = None
    last_used_at: datetime | None = None
    last_used_by: str | None = None


class NotRotatable(Exception):
    """This key cannot be rotated; the message says why and what to do."""


class TooPowerful(Exception):
    """A key would be able to do more than the one that makes it; the message says what."""


def make_api_key(
    name: str, scopes: tuple[Scope, ...], models: tuple[str, ...], expires_at: datetime | None, randomness: bytes
) -> tuple[str, ApiKey]:
    """A new key, and what is kept of it; `randomness` is RANDOM_BYTES from a good source."""
    key_id = _key_id(randomness[:16])
    secret = base64.urlsafe_b64encode(randomness[16:]).decode().rstrip("=")
    key = form_key(key_id, secret)
    kept = ApiKey(key_id=key_id, name=name, key_hash=hash_key(key), scopes=scopes, models=models, expires_at=expires_at)
    return key, kept


def rotate_api_key(
    old: StoredKey, now: datetime, overlap: timedelta, randomness: bytes
) -> tuple[str, ApiKey, datetime]:
    """(new key, what is kept of it, when the old one ends): the new one has the same name, scopes, models and
    lifetime; the old one ends after `overlap`, or when it would have ended anyway.

    Raises:
        NotRotatable: it is revoked, expired or replaced already.
    """
    key = old.key
    _check_rotatable(old, now)
    expires_at = now + (key.expires_at - old.created_at) if key.expires_at else None
    text, made = make_api_key(key.name, key.scopes, key.models, expires_at, randomness)
    return text, made, min(now + overlap, key.expires_at) if key.expires_at else now + overlap


def _check_rotatable(old: StoredKey, now: datetime) -> None:
    if old.replaced_by is not None:
        raise NotRotatable(f"this key was rotated already: rotate its successor {old.replaced_by}, or make a new key")
    if old.key.revoked_at is not None:
        raise NotRotatable(f"this key was revoked at {old.key.revoked_at:%Y-%m-%d %H:%M} UTC: make a new key")
    if old.key.expires_at is not None and old.key.expires_at <= now:
        raise NotRotatable(f"this key expired at {old.key.expires_at:%Y-%m-%d %H:%M} UTC: make a new key")


def check_power(maker: ApiKey, scopes: Iterable[Scope], models: tuple[str, ...]) -> None:
    """Refuse a key that could do more than its maker.

    Raises:
        TooPowerful: by its scopes, or by the models that it may access.
    """
    more = [scope.value for scope in scopes if not maker.allows(scope)]
    if more:
        raise TooPowerful(
            f"the API key of this request lacks the scope {', '.join(more)}, so it cannot give it to another"
        )
    if not maker.models:
        return
    if not models:
        own = ", ".join(maker.models)
        raise TooPowerful(f"the API key of this request may only access {own}: say in models for which of these")
    wider = [pattern for pattern in models if not any(covers(own, pattern) for own in maker.models)]
    if wider:
        raise TooPowerful(f"the API key of this request may not access all of {', '.join(wider)}: narrow these models")


def is_within(key: ApiKey, other: ApiKey) -> bool:
    """Whether a key can surely do no more than another."""
    try:
        check_power(other, key.scopes, key.models)
    except TooPowerful:
        return False
    return True


def covers(wide: str, narrow: str) -> bool:
    """Whether every model id that matches the pattern `narrow` surely matches `wide`. When in doubt it is False."""
    if wide == narrow:
        return True
    # As a text, `narrow` matches `wide` letter by letter; its own * and ? are met by a * of `wide` alone.
    plain = not set(narrow) & set("*?[")
    return fnmatchcase(narrow, wide) and (plain or not (set(wide) & set("?[") or "[" in narrow))


def _key_id(randomness: bytes) -> str:
    number, letters = int.from_bytes(randomness, "big"), []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, len(ID_LETTERS))
        letters.append(ID_LETTERS[digit])
    return "".join(letters)
