"""What a command of `sentryml-admin` is, and what it says when it does not do what was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from sentryml_common.postgres.pool import Pool

Command: TypeAlias = Callable[[Pool], Awaitable[str]]
"""What was asked for, and can be done: does it, and returns what to say."""


class Refused(Exception):
    """What was asked for cannot be; the message says why and what would do."""
