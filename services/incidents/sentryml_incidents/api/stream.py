"""`GET /v1/stream`: what happens, as it happens, as server-sent events.

Transitions carry an id. A client that comes back with the last one it got (`Last-Event-ID`, which every library for
server-sent events sends automatically) gets all that came since, each once, from any replica. The first event and each
heartbeat bring an id, too, so that a client to whom nothing has happened yet can resume as well.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.message import ModelId
from sentryml_common.errors import Unavailable
from sentryml_incidents.api.auth import Reader
from sentryml_incidents.store.transition_numbers import newest_number, read_stream
from sentryml_incidents.streaming.events import Event, EventKind, event_of
from sentryml_incidents.streaming.hub import PAGE_ROWS, Hub
from sentryml_incidents.streaming.response import SubscriberResponse
from sentryml_incidents.streaming.subscribers import Client
from sentryml_incidents.usecases.context import Context, WithContext

router = APIRouter(prefix="/v1", tags=["stream"])

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")

Models = Annotated[list[ModelId] | None, Query(alias="model", description="Only these models; may be repeated.")]
Kinds = Annotated[list[EventKind] | None, Query(alias="kind", description="Only these events; may be repeated.")]
LastEventId = Annotated[
    str | None, Header(description="Id of the last event you got: go on after it.", examples=["41"], max_length=100)
]

EXAMPLE = """: following
id: 41
retry: 2000

event: transition
data: {"v":1,"kind":"opened","model_id":"flights-delay","incident_number":17}
id: 42

event: evaluation
data: {"model_id":"flights-delay","evaluated_at":"2026-11-23T09:20:00Z","level":"critical","psi":0.31}

event: delivery
data: {"model_id":"flights-delay","incident_id":"b6adcd7e-af2f-5ff4-8e48-fc82f236c3e4","state":"delivered","revision":2}

"""
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": [*EventKind, "resync"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "retry": {"type": "integer", "minimum": 0},
    },
}
FOLLOWED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events, until you hang up. `transition` (as on the timeline, with an id to resume from), "
        "`evaluation`, `model` and `delivery` (hints, without an id), `resync` (the id cannot be resumed: read the "
        "lists again).",
        "content": {"text/event-stream": {"schema": EVENT, "example": EXAMPLE}},
        "headers": {"Cache-Control": {"description": "`no-store`", "schema": {"type": "string"}}},
    }
}


@router.get("/stream", responses=FOLLOWED, response_class=StreamingResponse)
async def follow(
    context: WithContext,
    key: Reader,
    models: Models = None,
    kinds: Kinds = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """Follow what happens as server-sent events. Give the id of the last event you got as `Last-Event-ID` to go on
    after it, without a gap and without repetition."""
    hub = context.hub
    if hub is None or hub.position is None:
        raise Unavailable("the stream has not begun yet: the service is starting")
    async with context.transaction() as connection:
        newest = await newest_number(connection)
    # From here to `follow` nothing may be awaited: what was published by then is read, what comes later is queued.
    client = hub.follow(key.key_id, _wanting(key, models, kinds))
    start, published = _read_id(last_event_id, max(newest, hub.position)), hub.position
    frames = _frames(context, hub, client, start, published, resync=last_event_id is not None and start is None)
    return SubscriberResponse(hub, client, frames)


def _wanting(key: ApiKey, models: list[ModelId] | None, kinds: list[EventKind] | None) -> Callable[[Event], bool]:
    only_models, only_kinds = frozenset(models or ()), frozenset(kinds or EventKind)

    def wants(event: Event) -> bool:
        return (
            event.kind in only_kinds
            and (not only_models or event.model_id in only_models)
            and key.allows_model(event.model_id)
        )

    return wants


def _read_id(given: str | None, newest: int) -> int | None:
    """The number to go on after; None if it is none of ours, or lies ahead (of a database that was set back)."""
    if given is None or NUMBER.fullmatch(given) is None or int(given) > newest:
        return None
    return int(given)


async def _frames(
    context: Context, hub: Hub, client: Client, start: int | None, published: int, *, resync: bool
) -> AsyncIterator[bytes]:
    """Greeting, what was missed, what comes."""
    last = published if start is None else start
    yield format_sse_event(comment="following", id=str(last), retry=RETRY_MILLISECONDS)
    if resync:
        reason = "this Last-Event-ID cannot be resumed: read the lists again, then go on with what follows"
        yield format_sse_event(event="resync", data_str=orjson.dumps({"reason": reason}).decode(), id=str(last))
    try:
        async for event in _missed(context, client, last, published):
            yield _frame(event)
    except Unavailable:
        return  # the client comes back, and goes on after the last id it has got
    last = max(last, published)
    while not client.ended:
        taken = await client.take(HEARTBEAT_SECONDS)
        for event in taken:
            if event.number is None or event.number > last:
                last = event.number or last
                yield _frame(event)
        if not taken:
            # Whatever was published up to here has been sent, or was not for this client.
            last = max(last, hub.position or 0)
            yield format_sse_event(comment="still here", id=str(last))


def _frame(event: Event) -> bytes:
    number = None if event.number is None else str(event.number)
    return format_sse_event(event=event.kind, data_str=event.data, id=number)


async def _missed(context: Context, client: Client, after: int, until: int) -> AsyncIterator[Event]:
    """Transitions that the client has missed, page by page at its own pace."""
    while after < until and not client.ended:
        async with context.transaction() as connection:
            page = await read_stream(connection, context.public_url, after=after, until=until, limit=PAGE_ROWS)
        for number, transition in page:
            event, after = event_of(number, transition), number
            if client.wants(event):
                yield event
        if len(page) < PAGE_ROWS:
            return
