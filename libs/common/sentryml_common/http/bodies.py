"""Bodies of requests: small ones are read up to their limit, and JSON must be unambiguous."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from sentryml_common.http.problems import Problem, invalid_request
from sentryml_common.text import cut

LONGEST_NAME = 64


async def read_body(receive: Receive, most_bytes: int, what: str, advice: str = "") -> bytes:
    """The whole body of a request as it came; `what` names it where it is too long, `advice` says what to do then.

    Raises:
        Problem: 413 it is longer than `most_bytes`; 400 the connection ended first.
    """
    body, more = b"", True
    while more:
        message = await receive()
        ended = message["type"] == "http.disconnect"
        body = checked_body(None if ended else body + message.get("body", b""), most_bytes, what, advice)
        more = message.get("more_body", False)
    return body


def checked_body(body: bytes | None, most_bytes: int, what: str, advice: str = "") -> bytes:
    """A body that is not too long; None stands for one whose connection ended first.

    Raises:
        Problem: as `read_body`.
    """
    if body is None:
        raise Problem(400, "cut-short", "the connection ended before the body did")
    if len(body) > most_bytes:
        raise Problem(413, "body-too-large", f"{what} may hold {most_bytes:,} bytes{advice}")
    return body


def receive_of(request: Request) -> Receive:
    """What a request brings, also where the framework has read its body before: then nothing more comes by itself."""
    parts = request.stream()

    async def receive() -> Message:
        try:
            part = await anext(parts, None)
        except ClientDisconnect:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    return receive


async def unambiguous_json(request: Request) -> None:
    """A FastAPI dependency: refuses a JSON body with a repeated field, or with text that cannot be stored.

    Of two fields with the same name one would be taken silently; half of a surrogate pair is no character. What is not
    JSON at all is left to the framework, which refuses it.

    Raises:
        Problem: 422, naming the field.
    """
    route = request.scope.get("route")
    if isinstance(route, APIRoute) and route.body_field is not None:
        check_json(await request.body())


def check_json(body: bytes) -> None:
    """The same for a body that has been read.

    Raises:
        Problem: 422, naming the field.
    """
    twice: list[str] = []

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        data = json.loads(body, object_pairs_hook=as_object)
    except (ValueError, RecursionError):
        return
    if twice:
        raise invalid_request((f"body.{cut(twice[0], LONGEST_NAME)}", "is given twice: send it once"))
    for place, text in _texts(data):
        if not text.isprintable() and any("\ud800" <= each <= "\udfff" for each in text):
            raise invalid_request((place, "holds half of a surrogate pair, which is no character: send whole ones"))


def _texts(data: object) -> Iterator[tuple[str, str]]:
    """Every text in it, names of fields too, with its place."""
    left = [("body", data)]
    while left:
        place, value = left.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, list):
            left.extend((f"{place}.{number}", each) for number, each in enumerate(value))
        elif isinstance(value, dict):
            for name, each in value.items():
                yield place, name
                left.append((f"{place}.{cut(name, LONGEST_NAME)}", each))
