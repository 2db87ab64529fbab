"""Changing what slow drift is measured against: the one way for the API and for pages."""

from __future__ import annotations

from uuid import uuid4

from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.transition import Actor
from sentryml_common.logging import get_logger
from sentryml_incidents.domain.uploaded_reference import UploadedReference, reference_of
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.references import KeptReference, insert_references
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import UnknownModel
from sentryml_lifecycle.decision import Outcome
from sentryml_lifecycle.state_machine import ReferenceChanged, decide

log = get_logger(__name__)


async def upload_reference(context: Context, actor: Actor, model_id: str, wanted: UploadedReference) -> KeptReference:
    """Put a reference in force that was made elsewhere, in a transaction of its own; return it.

    Raises:
        UnknownModel: there is none with this id.
        Unavailable: PostgreSQL is away.
    """
    reference = reference_of(wanted, model_id, uuid4(), context.now())
    await _change(context, actor, model_id, reference)
    return KeptReference(reference, actor)


async def forget_reference(context: Context, actor: Actor, model_id: str) -> None:
    """Have a new reference made from the next clean evaluation, in a transaction of its own. The old one stays listed.

    Raises:
        UnknownModel: there is none with this id.
        Unavailable: PostgreSQL is away.
    """
    await _change(context, actor, model_id, None)


async def _change(context: Context, actor: Actor, model_id: str, reference: Reference | None) -> None:
    reference_id = None if reference is None else reference.reference_id
    async with context.transaction() as connection:
        snapshot = await lock_snapshot(connection, model_id)
        if snapshot is None:
            raise UnknownModel(model_id)
        if reference is not None:
            await insert_references(connection, [reference], actor)
        decision = decide(snapshot, ReferenceChanged(reference_id, actor), context.now())
        await save_decision(connection, snapshot, decision)
    report_transitions(decision)
    if decision.outcome is Outcome.APPLIED:
        shown = None if reference_id is None else str(reference_id)
        log.info("reference_changed", model_id=model_id, reference_id=shown, actor=actor.name)
