"""Doing something to an incident on somebody's behalf: the one way for single requests, for bulk and for pages.

Acting is idempotent. Asking for what already is changes nothing; and who names the version that was seen
(`If-Match`) may send a request again whose answer got lost: the step it has made is recognised, also a note.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sentryml_common.contracts.transition import Actor, Cause, TransitionKind
from sentryml_common.http.versions import etag, matches, version_in
from sentryml_common.postgres.pool import Connection
from sentryml_incidents.journal import report_transitions
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation
from sentryml_incidents.store.incidents import find_incident
from sentryml_incidents.store.snapshots import Change, lock_snapshot, save_changes
from sentryml_incidents.store.timeline import find_step
from sentryml_incidents.usecases.context import Context
from sentryml_incidents.usecases.errors import IncidentMovedOn, ModelDeleted, NotAllowed, UnknownIncident
from sentryml_lifecycle.decision import Decision, Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Incident, Snapshot
from sentryml_lifecycle.state_machine import Asked, decide

LARGEST_NUMBER = 2**63 - 1

MaySee: TypeAlias = Callable[[str], bool]
"""Whether somebody may see a model, by its id."""


def everything(_: str) -> bool:
    """People see all models."""
    return True


KIND_OF = {
    Action.ACKNOWLEDGE: TransitionKind.ACKNOWLEDGED,
    Action.UNACKNOWLEDGE: TransitionKind.UNACKNOWLEDGED,
    Action.CLOSE: TransitionKind.CLOSED,
    Action.ACCEPT: TransitionKind.CLOSED,
    Action.WAS_NORMAL: TransitionKind.CLOSED,
    Action.UNDO: TransitionKind.REOPENED,
    Action.NOTE: TransitionKind.NOTED,
}
CLOSED_BY = {Action.CLOSE: Cause.REQUESTED, Action.ACCEPT: Cause.NEW_NORMAL, Action.WAS_NORMAL: Cause.WAS_NORMAL}
"""Actions whose steps differ in their cause alone."""


async def act(
    context: Context,
    actor: Actor,
    may_see: MaySee,
    reference: str,
    action: Action,
    note: str | None = None,
    if_match: str | None = None,
    since: datetime | None = None,
) -> Incident:
    """Do what is asked, in a transaction of its own; return the incident as it is afterwards. `since` is when an
    accepted new normal begins.

    Raises:
        UnknownIncident: there is none that may be seen.
        IncidentMovedOn: since `if_match`.
        NotAllowed: its state does not allow it.
        ModelDeleted: its model was deleted.
        Unavailable: PostgreSQL is away.
    """
    decision: Decision | None = None
    async with context.transaction() as connection:
        found = await known_incident(connection, may_see, reference)
        snapshot = await lock_snapshot(connection, found.model_id, found.incident_id)
        if snapshot is None or snapshot.incident is None or snapshot.incident.model_deleted_at is not None:
            raise ModelDeleted(found)
        asked = Asked(action, actor, note, since)
        if await _is_as_seen(connection, snapshot.incident, asked, if_match):
            decision = await _decide(connection, context, snapshot, asked)
    if decision is None:
        return snapshot.incident
    report_transitions(decision)
    assert decision.snapshot.incident is not None
    return decision.snapshot.incident


async def known_incident(connection: Connection, may_see: MaySee, reference: str) -> Incident:
    """An incident that exists and may be seen, by its id or its number.

    Raises:
        UnknownIncident: in the same words whether there is none or it may not be seen.
    """
    parsed = read_reference(reference)
    incident = await find_incident(connection, parsed) if parsed is not None else None
    if incident is None or not may_see(incident.model_id):
        raise UnknownIncident(reference)
    return incident


def read_reference(reference: str) -> UUID | int | None:
    """A UUID or a number; None if it is neither."""
    if reference.isascii() and reference.isdigit():
        number = int(reference)
        return number if number <= LARGEST_NUMBER else None
    try:
        return UUID(reference)
    except ValueError:
        return None


async def _decide(connection: Connection, context: Context, snapshot: Snapshot, asked: Asked) -> Decision:
    decision = decide(snapshot, asked, context.now())
    if decision.outcome is Outcome.NOT_ALLOWED:
        assert snapshot.incident is not None
        raise NotAllowed(snapshot.incident, asked.action)
    if decision.outcome is Outcome.APPLIED:
        latest = await find_latest_evaluation(connection, snapshot.model_id) if decision.evidence else None
        await save_changes(connection, [Change(snapshot, decision, latest)])
    return decision


async def _is_as_seen(connection: Connection, incident: Incident, asked: Asked, if_match: str | None) -> bool:
    """Whether the incident is still as it was seen; False if all that has been done since then is what is asked.

    Raises:
        IncidentMovedOn: anything else was done.
    """
    if matches(if_match, etag(incident.sequence)):
        return True
    if if_match is not None and await _is_repeated(connection, incident, asked, version_in(if_match)):
        return False
    raise IncidentMovedOn(incident)


async def _is_repeated(connection: Connection, incident: Incident, asked: Asked, seen: int | None) -> bool:
    """Whether the step after the version that was seen is the very one that is asked for: its answer got lost."""
    if seen is None:
        return False
    step = await find_step(connection, incident.incident_id, seen + 1)
    if step is None:
        return False
    kind, cause, actor, note = step
    same = kind is KIND_OF[asked.action] and cause is CLOSED_BY.get(asked.action, cause)
    return same and (actor, note) == (asked.actor, asked.note)
