"""Patterns of model ids as PostgreSQL reads them, so that a page holds only what an API key may see."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from fnmatch import fnmatchcase

ALPHABET = string.ascii_letters + string.digits + "._:-"
"""What model ids are made of."""
NOTHING = r"(?!.)."
PART = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def model_regexes(patterns: Sequence[str]) -> list[str] | None:
    """Regular expressions that match the model ids which `patterns` match, as `fnmatch` reads them; None, which
    means every model, if there is no pattern. For `model_id ~ ANY ($1)`."""
    return [f"^{''.join(map(_regex_of, PART.findall(pattern)))}$" for pattern in patterns] or None


def _regex_of(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    if len(part) > 1:
        # A set is spelt out: what is in it is left to fnmatch, which has its own view of ranges.
        inside = "|".join(re.escape(letter) for letter in ALPHABET if fnmatchcase(letter, part))
        return f"(?:{inside or NOTHING})"
    return re.escape(part)
