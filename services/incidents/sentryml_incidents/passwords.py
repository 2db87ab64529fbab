"""Passwords of people, as argon2id hashes. Hashing takes tens of milliseconds and megabytes: on pages it is done in a
few threads of its own."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sentryml_incidents.domain.password_strength import weakness

LENGTH_MIN, LENGTH_MAX = 12, 1000

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(2, thread_name_prefix="passwords")


class PasswordTooWeak(Exception):
    """The message says what would do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits; `better_hash` is to be kept in place of one that was made at another cost."""

    fits: bool
    better_hash: str | None = None


def check_strength(password: str, *about: str) -> None:
    """Refuse a new password that would not do; `about` are its owner's address and name.

    Raises:
        PasswordTooWeak: it is too short, absurdly long, or too easy to guess.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise PasswordTooWeak(
            f"a password must have {LENGTH_MIN} to {LENGTH_MAX} characters; this one has {len(password)}"
        )
    why = weakness(password, about)
    if why is not None:
        raise PasswordTooWeak(why)


def hash_password(password: str) -> str:
    """The argon2id hash of a password that has passed `check_strength`, salt and cost inside."""
    return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> Verdict:
    """Whether a password fits a hash. Without one (nobody has that address) it takes as long, and does not."""
    if password_hash is None:
        _hasher.hash(password)
        return Verdict(False)
    try:
        _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return Verdict(False)
    return Verdict(True, _hasher.hash(password) if _hasher.check_needs_rehash(password_hash) else None)


async def hash_in_thread(password: str) -> str:
    """`hash_password`, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, hash_password, password)


async def verify_in_thread(password: str, password_hash: str | None) -> Verdict:
    """`verify_password`, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, verify_password, password, password_hash)


def make_initial_password() -> str:
    """A password for somebody else, who will change it."""
    return secrets.token_urlsafe(12)
