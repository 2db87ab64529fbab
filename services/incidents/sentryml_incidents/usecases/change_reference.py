"""Changing what slow drift is measured against: the one way for the API and for pages."""

from __future__ import annotations

from uuid import UUID

from sentryml_common.contracts.transition import Actor
from sentryml_common.http.versions import matches
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.domain.uploaded_reference import UploadedReference, reference_of
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.references import KeptReference, insert_references
from sentryml_incidents.store.snapshots import lock_snapshot, save_decision
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import ReferenceMovedOn, UnknownModel
from sentryml_lifecycle.decision import Decision, Outcome
from sentryml_lifecycle.snapshot import Snapshot, reference_id_of
from sentryml_lifecycle.state_machine import ReferenceChanged, decide

log = get_logger(__name__)


async def upload_reference(
    context: Context, actor: Actor, model_id: str, uploaded: UploadedReference, if_match: str | None = None
) -> KeptReference:
    """Put a reference in force that was made elsewhere, in a transaction of its own; return it.

    Raises:
        UnknownModel: there is none with this id.
        ReferenceMovedOn: another one is in force than `if_match` says.
        Unavailable: PostgreSQL is away.
    """
    now = context.now()
    async with context.transaction() as connection:
        snapshot = await _locked(connection, model_id, if_match)
        reference = reference_of(uploaded, model_id, reference_id_of(snapshot, now), now)
        await insert_references(connection, [reference], actor)
        decision = decide(snapshot, ReferenceChanged(reference.reference_id, actor), now)
        await save_decision(connection, snapshot, decision)
    _report(decision, actor)
    return KeptReference(reference, actor)


async def forget_reference(context: Context, actor: Actor, model_id: str, if_match: str | None = None) -> None:
    """Have a new reference made from the next clean evaluation, in a transaction of its own. The old one stays listed.

    Raises:
        UnknownModel: there is none with this id.
        ReferenceMovedOn: another one is in force than `if_match` says.
        Unavailable: PostgreSQL is away.
    """
    async with context.transaction() as connection:
        snapshot = await _locked(connection, model_id, if_match)
        decision = decide(snapshot, ReferenceChanged(None, actor), context.now())
        await save_decision(connection, snapshot, decision)
    _report(decision, actor)


def etag_of(reference_id: UUID) -> str:
    """The ETag of a reference: it never changes, another one replaces it."""
    return f'"{reference_id}"'


async def _locked(connection: Connection, model_id: str, if_match: str | None) -> Snapshot:
    snapshot = await lock_snapshot(connection, model_id) if "\x00" not in model_id else None
    if snapshot is None:
        raise UnknownModel(model_id)
    in_force = snapshot.normal_time.reference_id
    if if_match is not None and (in_force is None or not matches(if_match, etag_of(in_force))):
        raise ReferenceMovedOn(model_id, in_force)
    return snapshot


def _report(decision: Decision, actor: Actor) -> None:
    report_transitions(decision)
    if decision.outcome is Outcome.APPLIED:
        after, found = decision.snapshot, decision.snapshot.normal_time.reference_id
        reference_id = None if found is None else str(found)
        log.info("reference_changed", model_id=after.model_id, reference_id=reference_id, actor=actor.name)
