"""Versions of resources as ETags, and whether what a client knows is current."""

from __future__ import annotations

import re

_ETAG = re.compile(r'(?:W/)?"v([0-9]{1,9})"')


def etag(version: int) -> str:
    """A version as an ETag."""
    return f'"v{version}"'


def matches(given: str | None, current: str) -> bool:
    """Whether `If-Match` allows to act on what is `current`; without the header anything goes."""
    return given is None or given.strip() == "*" or current in {tag.strip() for tag in given.split(",")}


def version_in(given: str) -> int | None:
    """The version that a single ETag names; None for anything else."""
    found = _ETAG.fullmatch(given.strip())
    return int(found[1]) if found else None
