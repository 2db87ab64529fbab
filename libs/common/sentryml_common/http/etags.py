"""Versions of resources as ETags, and what clients make conditional on them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Header, Response

IfMatch = Annotated[
    str | None,
    Header(description="`ETag` of your version; 412 if there is a newer one.", examples=['"v3"'], max_length=1000),
]
IfNoneMatch = Annotated[
    str | None, Header(description="`ETag` of your version; 304 if it is current.", examples=['"v3"'])
]

ETAG_HEADER: dict[str, Any] = {
    "ETag": {"description": "The version, for `If-Match` and `If-None-Match`.", "schema": {"type": "string"}}
}
VERSIONED: dict[int | str, dict[str, Any]] = {200: {"headers": ETAG_HEADER}}
"""`responses` of a route whose answer has an ETag."""
CACHED: dict[int | str, dict[str, Any]] = {
    **VERSIONED,
    304: {"description": "Your version is current.", "headers": ETAG_HEADER},
}
"""`responses` of a route that also knows `If-None-Match`."""

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


def not_modified(given: str | None, current: str) -> Response | None:
    """304 if `If-None-Match` names what is current; else None, and the answer is to be sent."""
    if given is None or not matches(given.replace("W/", ""), current):
        return None
    return Response(status_code=304, headers={"ETag": current})
