"""Passwords of people, as argon2id hashes."""

from __future__ import annotations

from argon2 import PasswordHasher

LENGTH_MIN, LENGTH_MAX = 12, 1000

_hasher = PasswordHasher()


class PasswordTooWeak(Exception):
    """The message says what would do."""


def hash_password(password: str) -> str:
    """The argon2id hash of a new password, salt and cost inside.

    Raises:
        PasswordTooWeak: it is too short, or absurdly long.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise PasswordTooWeak(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters; this one has {len(password)}")
    return _hasher.hash(password)
