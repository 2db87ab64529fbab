"""A test event: one real event, sent through ingest with a key that is shown to the person who sends it, and followed
until it is counted. Nothing of the key is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.api_key import Scope, key_id_of
from sentryml_incidents.clients.ingest import NotAccepted
from sentryml_incidents.domain.api_keys import StoredKey
from sentryml_incidents.domain.first_steps.model_names import test_model_for
from sentryml_incidents.store.models import find_model
from sentryml_incidents.store.people.api_keys import list_api_keys
from sentryml_incidents.usecases.context import Context

POLL_SECONDS = 0.25
STARTING = "the service is starting: try again in a few seconds"
ROUNDING = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a test event of `model_id`: why it was not accepted, or when it was, and when it was counted, in
    seconds since it was sent; None where that was not seen in time."""

    model_id: str
    not_accepted: str | None = None
    accepted_after: float = 0.0
    counted_after: float | None = None


async def find_key(context: Context, key_id: str, text: str) -> StoredKey | None:
    """The key that `text` is; None if that is another one, or over, or none."""
    async with context.transaction() as connection:
        found = await list_api_keys(connection, key_id)
    is_it = key_id_of(text) == key_id and bool(found) and found[0].key.opens(text, context.now())
    return found[0] if is_it else None


async def send_test_event(context: Context, stored: StoredKey, text: str) -> Sent | None:
    """Send one with the key `text`, and wait until it is counted; None if the key may send none."""
    model_id = test_model_for(stored.key.models)
    if model_id is None or not stored.key.allows(Scope.EVENTS_WRITE):
        return None
    loop, timestamp = asyncio.get_running_loop(), context.now()
    begun = loop.time()
    try:
        if context.ingest is None:
            raise NotAccepted(STARTING)
        event = {"model_id": model_id, "prediction": "test", "score": 0.5, "timestamp": timestamp.isoformat()}
        await context.ingest.send(text, event)
    except NotAccepted as err:
        return Sent(model_id, str(err))
    accepted = loop.time()
    while not await _is_counted(context, model_id, timestamp):
        if loop.time() > accepted + context.counted_seconds:
            return Sent(model_id, None, accepted - begun)
        await asyncio.sleep(POLL_SECONDS)
    return Sent(model_id, None, accepted - begun, loop.time() - begun)


async def _is_counted(context: Context, model_id: str, timestamp: datetime) -> bool:
    async with context.transaction() as connection:
        model = await find_model(connection, model_id)
    return model is not None and model.last_seen >= timestamp - ROUNDING
