"""What a command of `sentryml-admin` says when it does not do what was asked for."""

from __future__ import annotations


class Refused(Exception):
    """What was asked for cannot be; the message says why and what would do."""
