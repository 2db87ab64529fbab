"""Headers of ETags, as routes document and take them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Response

from sentryml_common.http.versions import matches

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


def not_modified(given: str | None, current: str) -> Response | None:
    """304 if `If-None-Match` names what is current; else None, and the answer is to be sent."""
    if given is None or not matches(given.replace("W/", ""), current):
        return None
    return Response(status_code=304, headers={"ETag": current})
