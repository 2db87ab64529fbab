"""The exception tree of SentryML.

    SentryMLError
    ├── Unavailable          a server we need does not answer; trying again later helps
    ├── UndecodableMessage   bytes that are not a message of their contract; trying again never helps
    └── ConfigurationError   the installation is wrong; a person has to change something
        └── RecordTooLarge   Kafka takes no record of this size

Whose fault it is and whether a retry helps is decided by the class, never by the text.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

EXIT_CONFIGURATION = 78
"""How a process ends that has met a ConfigurationError: starting it again does not help."""


class SentryMLError(Exception):
    """Base of SentryML's own errors."""


class Unavailable(SentryMLError):
    """A server we need (Kafka, PostgreSQL) does not answer; the same call may succeed later."""


class UndecodableMessage(SentryMLError):
    """Bytes that cannot be read as a message of their contract.

    `reason` is a short code from a closed set (it becomes a metric label), `detail` a sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigurationError(SentryMLError):
    """The installation is wrong; the message says what to change."""


class RecordTooLarge(ConfigurationError):
    """Kafka takes no record of this `size` in bytes, however often it is sent; the message names it, and the limit to
    raise."""

    def __init__(self, size: int, detail: str) -> None:
        super().__init__(detail)
        self.size = size


def leave(code: int, why: str = "") -> NoReturn:
    """End this process without taking its modules apart: a thread that a library has left would keep it alive, and what
    a library frees wrongly would change the exit code."""
    if why:
        sys.stderr.write(f"{why}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
