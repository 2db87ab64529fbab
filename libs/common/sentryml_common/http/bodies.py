"""Bodies of requests that have to be small: read no further than they may be long."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from sentryml_common.http.problems import Problem


async def read_body(request: Request, most_bytes: int, what: str, advice: str = "") -> bytes:
    """The whole body as it came; `what` names it where it is too long, `advice` says what to do then.

    Raises:
        Problem: 413 it is longer than `most_bytes`; 400 the connection ended first.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most_bytes:
                raise Problem(413, "body-too-large", f"{what} may hold {most_bytes:,} bytes{advice}")
    except ClientDisconnect as err:
        raise Problem(400, "cut-short", "the connection ended before the body did") from err
    return bytes(body)
