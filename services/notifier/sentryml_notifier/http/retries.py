"""`POST /v1/deliveries/{id}:retry`: try again now what waits or is parked."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from fastapi import APIRouter

from sentryml_common.http.problems import Problem, problem_answers
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.channel_registry import NotOpened
from sentryml_notifier.domain.change import Action
from sentryml_notifier.domain.delivery import DeliveryState, ParkedBecause, retry_refusal
from sentryml_notifier.http.auth import Writer
from sentryml_notifier.http.context import Context, WithContext
from sentryml_notifier.http.deliveries import UNKNOWN, DeliveryView, unknown_delivery
from sentryml_notifier.store.channel_changes import repair_channel
from sentryml_notifier.store.channels import list_stored_channels, release_waiting
from sentryml_notifier.store.ledger import DeliveryFilter, list_deliveries
from sentryml_notifier.store.queue.retries import lock_delivery, make_due

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

NOT_AGAIN = (409, "It is delivered, given up, or being sent; or its channel has to be changed first.")


@router.post("/{delivery_id:uuid}:retry", responses={**UNKNOWN, **problem_answers(NOT_AGAIN)})
async def retry(context: WithContext, asker: Writer, delivery_id: UUID) -> DeliveryView:
    """Make it due now, with what goes before it. On a broken channel this tries the channel again, and all that is
    parked on it if that works."""
    now = context.clock()
    async with context.transaction() as connection:
        row = await lock_delivery(connection, delivery_id)
        if row is None or not asker.may_see(row["model_id"]):
            raise unknown_delivery(delivery_id)
        _check(row)
        if row["channel_state"] == "broken":
            await _check_channel(connection, context, row["channel_id"])
        if await repair_channel(connection, row["channel_id"]):
            await release_waiting(connection, row["channel_id"], now)
        await make_due(connection, row, now)
        subject, text = f"incident #{row['incident_number']}", f"it was {row['state']}"
        await context.note(connection, asker.actor, Action.RETRY_ASKED, delivery_id, subject, text)
        found = await list_deliveries(connection, DeliveryFilter(delivery_id=delivery_id), None, 1)
    context.wake()
    return DeliveryView.model_validate(dict(found[0]))


def _check(row: asyncpg.Record) -> None:
    because = ParkedBecause(row["parked_because"]) if row["parked_because"] else None
    why = retry_refusal(DeliveryState(row["state"]), because)
    if why is not None:
        raise Problem(409, "not-retryable", why, state=row["state"], parked_because=row["parked_because"])


async def _check_channel(connection: Connection, context: Context, channel_id: UUID) -> None:
    """A broken channel may be retried, unless it cannot even be opened."""
    for stored in await list_stored_channels(connection, channel_id):
        try:
            context.channels().open_as(stored)
        except NotOpened as err:
            raise Problem(409, "channel-broken", f"its channel has to be changed first: {err}") from err
