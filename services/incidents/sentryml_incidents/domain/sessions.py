"""Sessions of people: what opens them and when they end. Pure, clock and randomness are arguments.

A session's secret is in the browser's cookie and nowhere else: kept is its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

IDLE: Final = timedelta(hours=12)
ABSOLUTE: Final = timedelta(days=7)
SEEN_EVERY: Final = timedelta(minutes=1)
"""A session that is used is marked as seen this often, at most."""

SECRET_BYTES: Final = 32
USER_AGENT_LENGTH_MAX: Final = 300

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which a person is signed in."""

    session_hash: str
    user_id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str

    def alive(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return now < self.expires_at and now - self.last_seen_at < IDLE

    def to_be_marked(self, now: datetime) -> bool:
        """Whether it is time to write down that it was seen."""
        return now - self.last_seen_at >= SEEN_EVERY


def make_secret(randomness: bytes) -> str:
    """The text of a secret; `randomness` is SECRET_BYTES from a good source."""
    return base64.urlsafe_b64encode(randomness).decode().rstrip("=")


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret, so that a look-up may find something."""
    return _SECRET.fullmatch(text) is not None


def hash_secret(secret: str) -> str:
    """SHA-256 in hex: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_session(secret: str, user_id: UUID, address: str, user_agent: str, now: datetime) -> Session:
    """The session that a secret opens from now on."""
    return Session(hash_secret(secret), user_id, now, now, now + ABSOLUTE, address, user_agent[:USER_AGENT_LENGTH_MAX])
