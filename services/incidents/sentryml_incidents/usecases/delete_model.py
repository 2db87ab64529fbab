"""Deleting a model in two steps: the one way for the API and for pages.

What would be lost comes with a confirmation, and only that confirmation deletes.
"""

from __future__ import annotations

from datetime import datetime

from sentryml_common.contracts.transition import Actor
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.deletions import count_belongings, find_confirmation_key
from sentryml_incidents.store.deletions import delete_model as delete_rows
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import DeletionNotConfirmed, Offered, UnknownModel
from sentryml_lifecycle.events.on_model_deletion import expiry_of, make_confirmation, why_not_confirmed
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import ModelDeleted, decide

log = get_logger(__name__)


async def delete_model(context: Context, actor: Actor, model_id: str, confirmation: str | None) -> None:
    """Delete a model, in a transaction of its own.

    Raises:
        UnknownModel: there is none with this id.
        DeletionNotConfirmed: with what would be lost.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        if snapshot is None:
            raise UnknownModel(model_id)
        key = await find_confirmation_key(connection)
        why_not = why_not_confirmed(key, snapshot, confirmation, now)
        if why_not is not None:
            raise DeletionNotConfirmed(why_not, model_id, await offer_deletion(connection, snapshot, now))
        decision = decide(snapshot, ModelDeleted(actor), now)
        await save_decision(connection, snapshot, decision)
        await delete_rows(connection, model_id, snapshot.monitor_version, actor, now)
    report_transitions(decision)
    log.info("model_deleted", model_id=model_id, actor=actor.name)


async def offer_deletion(connection: Connection, snapshot: Snapshot, now: datetime) -> Offered:
    """What deleting a model in this state would take away, and the confirmation for it."""
    confirmation = make_confirmation(await find_confirmation_key(connection), snapshot, now)
    live = snapshot.incident if snapshot.incident is not None and snapshot.incident.live else None
    return Offered(
        confirmation=confirmation,
        expires_at=expiry_of(confirmation),
        belongings=await count_belongings(connection, snapshot.model_id),
        live_incident=live.incident_number if live else None,
    )
