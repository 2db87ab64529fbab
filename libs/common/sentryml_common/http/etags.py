"""Headers of ETags, as routes document and take them, and the answers that follow from them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import BaseModel

from sentryml_common.http.problems import Problem
from sentryml_common.http.versions import etag, matches

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


def moved_on(what: str, version: int, view: BaseModel) -> Problem:
    """412 for a resource that is newer than `If-Match` says, with its current version and what it is now."""
    current = etag(version)
    detail = f"the {what} is at {current} now: read it again"
    return Problem(412, f"{what}-moved-on", detail, headers={"ETag": current}, **{what: view.model_dump(mode="json")})


def not_modified(given: str | None, current: str) -> Response | None:
    """304 if `If-None-Match` names what is current; else None, and the answer is to be sent."""
    if given is None or not matches(given.replace("W/", ""), current):
        return None
    return Response(status_code=304, headers={"ETag": current})
