"""What can go wrong with the local stack, with a text that says what to do."""

from __future__ import annotations

from sentryml_common.errors import SentryMLError


class StackError(SentryMLError):
    """The stack cannot do what was asked; the message says why, and what to do."""
