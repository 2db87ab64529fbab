"""Requests from service to service: signed with a secret that they share, and that never travels.

    SentryML-Time        when it was signed, epoch seconds
    SentryML-Actor       for which person it is sent, as JSON; absent if for none
    SentryML-Signature   v1=HMAC-SHA-256 over all of: time, method, target, actor, body

Nothing of a signed request can be changed, and it is valid for a minute. Somebody who has it can repeat it in
that time: internal addresses have to bear that.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass

from fastapi import Request
from pydantic import SecretStr, TypeAdapter, ValidationError
from starlette.datastructures import Headers

from sentryml_common.clock import Clock
from sentryml_common.http.bodies import read_body, receive_of
from sentryml_common.http.problems import Problem

TIME, ACTOR, SIGNATURE = "SentryML-Time", "SentryML-Actor", "SentryML-Signature"
VERSION = "v1"
GOOD_FOR_SECONDS = 60
MOST_BODY_BYTES = 64 * 1024
CHALLENGE = {"WWW-Authenticate": "SentryML-Signature"}
LONGEST_TIME = 12
"""Digits of epoch seconds: enough for the next 30,000 years."""


@dataclass(frozen=True, slots=True)
class ActingPerson:
    """The person a service acts for: who has asked it, on its pages."""

    id: str
    name: str
    role: str


_PERSON = TypeAdapter(ActingPerson)
"""Reads one; fields that a newer service sends are ignored, as in every contract."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signed request holds."""

    body: bytes
    actor: ActingPerson | None


def signed_headers(
    secret: SecretStr, method: str, target: str, body: bytes, now: float, actor: ActingPerson | None = None
) -> dict[str, str]:
    """The headers that sign a request; `target` is its path with the query, as it is sent, `now` epoch seconds."""
    time = str(int(now))
    whom = "" if actor is None else json.dumps(asdict(actor))
    headers = {TIME: time, SIGNATURE: _signature(secret, time, method, target, whom, body)}
    return headers if actor is None else headers | {ACTOR: whom}


class InternalAccess:
    """A FastAPI dependency: lets a request pass that another service of ours has signed, and gives what it holds."""

    def __init__(self, secret: SecretStr, clock: Clock) -> None:
        self._secret, self._clock = secret, clock

    async def __call__(self, request: Request) -> Signed:
        """Check a request.

        Raises:
            Problem: 401 it is not signed, or with another secret, at another time, or for other content; 413 its body
                is too long; 422 it names no person where it should.
        """
        headers = request.headers
        self._check_time(headers)
        body = await read_body(receive_of(request), MOST_BODY_BYTES, "a request between services")
        whom = headers.get(ACTOR, "")
        expected = _signature(self._secret, headers[TIME], request.method, _target_of(request), whom, body)
        if not hmac.compare_digest(expected.encode(), headers[SIGNATURE].encode()):
            raise _refused("the signature is invalid: give all services the same SENTRYML_INTERNAL_SECRET")
        return Signed(body, _person_of(whom) if whom else None)

    def _check_time(self, headers: Headers) -> None:
        time = headers.get(TIME, "")
        if SIGNATURE not in headers or not (time.isascii() and time.isdigit() and len(time) <= LONGEST_TIME):
            raise _refused("this endpoint is for other services of SentryML, which sign their requests")
        apart = abs(self._clock().timestamp() - int(time))
        if apart > GOOD_FOR_SECONDS:
            raise _refused(f"it was signed {apart:.0f} s ago or ahead: check the clocks of the services")


def _signature(secret: SecretStr, time: str, method: str, target: str, actor: str, body: bytes) -> str:
    """No part but the body, which is last, can hold a line break: so no part can be taken for another."""
    signed = "\n".join((VERSION, time, method, target, actor, "")).encode() + body
    return f"{VERSION}={hmac.digest(secret.get_secret_value().encode(), signed, 'sha256').hex()}"


def _person_of(whom: str) -> ActingPerson:
    try:
        return _PERSON.validate_json(whom)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join((ACTOR, *map(str, first["loc"])))
        reason = f"{field}: {first['msg']}: give all services the same version of SentryML"
        raise Problem(422, "invalid-request", reason, errors=[{"field": field, "reason": first["msg"]}]) from err


def _target_of(request: Request) -> str:
    raw: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


def _refused(why: str) -> Problem:
    return Problem(401, "not-signed", why, headers=CHALLENGE)
