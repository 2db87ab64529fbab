"""`POST /kserve`: CloudEvents of KServe's inference logger; 200 only after ingest has their predictions.

KServe takes every other status for a fault, and a broker takes the body of an answer for an event: so there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.http.bodies import read_body, receive_of
from sentryml_common.http.problems import Problem, unavailable
from sentryml_common.logging import get_logger
from sentryml_common.text import cut
from sentryml_tap.domain.kserve import RESPONSE, document_of, event_of, identity_of, mapping_for, type_of
from sentryml_tap.domain.paths import BadMapping
from sentryml_tap.domain.reading import Reading, Unusable, read_document
from sentryml_tap.metrics import DROPPED, KSERVE
from sentryml_tap.sender import LONGEST_REASON, Sender

log = get_logger(__name__)

MOST_AT_ONCE = 32
SHOWN = 3


@dataclass(slots=True)
class KServeSource:
    """What the route needs."""

    sender: Sender
    clock: Clock
    most_bytes: int
    at_work: int = 0

    async def take(self, request: Request) -> None:
        """Take the predictions of one event.

        Raises:
            Problem: it is not taken, and never will be, or not now.
        """
        if type_of(request.headers) not in (None, RESPONSE):
            return
        if self.at_work >= MOST_AT_ONCE:
            raise unavailable(f"{MOST_AT_ONCE} CloudEvents are at work: try again")
        self.at_work += 1
        try:
            await self._take(request)
        except Unavailable as err:
            raise unavailable(str(err)) from None
        finally:
            self.at_work -= 1

    async def _take(self, request: Request) -> None:
        body = await read_body(receive_of(request), self.most_bytes, "a CloudEvent")
        given = tuple(request.query_params.multi_items())
        try:
            key, reading = _read(request.headers, body, given, self.clock().timestamp())
        except BadMapping as err:
            raise _invalid([f"the query: {err}"]) from None
        refused = await self.sender.send(KSERVE, reading.events, key)
        for fault in reading.faults:
            DROPPED.labels(source=KSERVE, reason=fault.reason).inc()
        faults = reading.faults + refused
        if faults:
            log.warning("events_dropped", source=KSERVE, count=len(faults), why=cut(faults[0].text, LONGEST_REASON))
        if faults and len(refused) == len(reading.events):
            raise _invalid([fault.text for fault in faults])


def _read(
    headers: Mapping[str, str], body: bytes, given: tuple[tuple[str, str], ...], now: float
) -> tuple[str, Reading]:
    try:
        event = event_of(headers, body)
        if event["type"] != RESPONSE:
            return "", Reading()
        document = document_of(event)
        return identity_of(event), read_document(document, mapping_for(document, given), now)
    except Unusable as err:
        return "", Reading(faults=[err.fault])


def _invalid(texts: list[str]) -> Problem:
    shown = list(dict.fromkeys(texts))[:SHOWN]
    errors = [{"field": "body", "reason": text} for text in shown]
    return Problem(422, "invalid-request", "; ".join(shown), errors=errors)


def kserve_routes(source: KServeSource) -> APIRouter:
    """The route."""
    router = APIRouter(include_in_schema=False)

    @router.post("/kserve")
    async def take(request: Request) -> Response:
        await source.take(request)
        return Response(status_code=200)

    return router
