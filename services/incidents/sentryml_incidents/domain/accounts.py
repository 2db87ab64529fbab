"""The form of accounts of people."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

EMAIL_PATTERN: Final = r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$"
EMAIL_LENGTH_MAX: Final = 254
NAME_LENGTH_MAX: Final = 100
INITIAL_PASSWORD_OPENS: Final = timedelta(days=7)
"""How long a password that an admin has made opens an account."""
