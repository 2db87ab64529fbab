"""What channels need to know and nobody may see, encrypted (Fernet: AES-128-CBC with HMAC-SHA-256).

Rotation: put a new key in front of the old one, restart, and all is re-encrypted; then the old one can go.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sentryml_common.errors import ConfigurationError

SETTING = "SENTRYML_SECRETS_KEYS"
KEY_LENGTH_MIN = 32

NO_KEY = f"there is no key to encrypt secrets with: set {SETTING}, for example to the output of `openssl rand -hex 32`"
WRONG_KEY = (
    f"The key that this channel's secret was encrypted with is not in {SETTING}. Put it back, behind the new one; or "
    "enter the secret again."
)


class Sealed(Exception):
    """A secret cannot be read, or not be kept; the message says what to do."""


class SecretBox:
    """Encrypts with the first of its keys, decrypts with any of them.

    Args:
        keys: at least 32 characters each, of good randomness; none means that there are no secrets to keep.

    Raises:
        ConfigurationError: a key is too short.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if any(len(key) < KEY_LENGTH_MIN for key in keys):
            raise ConfigurationError(f"{SETTING}: each key needs {KEY_LENGTH_MIN} characters or more")
        found = [Fernet(urlsafe_b64encode(sha256(key.encode()).digest())) for key in keys]
        self._newest = found[0] if found else None
        self._all = MultiFernet(found) if found else None

    def seal(self, secret: Mapping[str, object]) -> bytes:
        """Encrypt.

        Raises:
            Sealed: there is no key.
        """
        if self._all is None:
            raise Sealed(NO_KEY)
        return self._all.encrypt(orjson.dumps(secret))

    def open(self, sealed: bytes) -> dict[str, object]:
        """Decrypt.

        Raises:
            Sealed: none of the keys fits.
        """
        if self._all is None:
            raise Sealed(WRONG_KEY)
        try:
            secret: dict[str, object] = orjson.loads(self._all.decrypt(sealed))
        except InvalidToken:
            raise Sealed(WRONG_KEY) from None
        return secret

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the first key opens it."""
        if self._newest is None:
            return False
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True
