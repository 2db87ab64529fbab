"""What became of the events, and a log that says each kind of trouble once."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

logger = logging.getLogger("sentryml")


@dataclass(frozen=True, slots=True)
class Stats:
    """Events by what became of them, since the process began (or was forked)."""

    waiting: int
    """In the queue, or on their way."""
    sent: int
    """Accepted by SentryML: they are in Kafka."""
    dropped: int
    """Given up: the queue was full, there was no address, or no answer in time."""
    refused: int
    """Refused for good: a bad key, a broken event, a time out of reach. The log said why, once a kind."""
    retries: int
    """Requests that were sent again."""


class Counts:
    """Counted by callers and by the thread that sends. The lock may be taken again by a signal handler."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kinds: set[object] = set()
        self.sent = self.dropped = self.refused = self.retries = 0

    def add(self, *, sent: int = 0, dropped: int = 0, refused: int = 0, retries: int = 0) -> None:
        """Count events."""
        with self._lock:
            self.sent += sent
            self.dropped += dropped
            self.refused += refused
            self.retries += retries

    def say_once(self, kind: object, text: str) -> None:
        """Log a warning, unless one of this kind was logged already."""
        with self._lock:
            if kind in self._kinds:
                return
            self._kinds.add(kind)
        logger.warning("%s", text)

    def forget(self, kind: object) -> bool:
        """Let a kind be logged again; says whether it had been."""
        with self._lock:
            known = kind in self._kinds
            self._kinds.discard(kind)
            return known
