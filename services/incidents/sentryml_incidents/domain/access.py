"""Making an API key: pure, the randomness is an argument."""

from __future__ import annotations

import base64
from datetime import datetime

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key

ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
RANDOM_BYTES = 48
NAME_LENGTH_MAX = 100
MODEL_PATTERN = r"^[A-Za-z0-9._:*?\[\]!-]{1,128}$"


def make_api_key(
    name: str, scopes: tuple[Scope, ...], models: tuple[str, ...], expires_at: datetime | None, randomness: bytes
) -> tuple[str, ApiKey]:
    """A new key, and what is kept of it; `randomness` is RANDOM_BYTES from a good source."""
    key_id = _key_id(randomness[:16])
    secret = base64.urlsafe_b64encode(randomness[16:]).decode().rstrip("=")
    key = form_key(key_id, secret)
    kept = ApiKey(key_id=key_id, name=name, key_hash=hash_key(key), scopes=scopes, models=models, expires_at=expires_at)
    return key, kept


def _key_id(randomness: bytes) -> str:
    number, letters = int.from_bytes(randomness, "big"), []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, len(ID_LETTERS))
        letters.append(ID_LETTERS[digit])
    return "".join(letters)
