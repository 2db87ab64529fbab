"""What people, and programs with a key, may do to an incident. Part of `state_machine`.

Nothing here silences anything: an acknowledged incident alerts when it gets worse, resolves or comes back, and
one that is closed while it drifts says when it will speak again. Asking for what already is, is no error.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sentryml_common.contracts.transition import Actor, Cause, State, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, Outcome, applied
from sentryml_lifecycle.grades import Grade
from sentryml_lifecycle.snapshot import Incident, Snapshot


class Action(StrEnum):
    """What can be asked for."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    CLOSE = "close"
    NOTE = "note"


ALLOWED: dict[State, tuple[Action, ...]] = {
    State.OPEN: (Action.ACKNOWLEDGE, Action.NOTE),
    State.ACKNOWLEDGED: (Action.ACKNOWLEDGE, Action.UNACKNOWLEDGE, Action.CLOSE, Action.NOTE),
    State.RESOLVED: (Action.ACKNOWLEDGE, Action.CLOSE, Action.NOTE),
    State.CLOSED: (Action.NOTE,),
}


def on_asked(
    snapshot: Snapshot, incident: Incident, action: Action, actor: Actor, note: str | None, now: datetime
) -> Decision:
    """Do what was asked, find it done already, or say that it is not allowed."""
    if _is_so_already(incident, action, actor):
        return Decision(Outcome.UNCHANGED, snapshot)
    if action not in ALLOWED[incident.state]:
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    mark = Mark(at=now, cause=Cause.REQUESTED, actor=actor, note=note)
    match action:
        case Action.ACKNOWLEDGE:
            return _acknowledge(snapshot, incident, mark)
        case Action.UNACKNOWLEDGE:
            after = replace(incident, state=State.OPEN, acknowledged_by=())
            return applied(snapshot).recording(TransitionKind.UNACKNOWLEDGED, after, mark)
        case Action.CLOSE:
            return _close(snapshot, incident, mark)
        case Action.NOTE:
            return applied(snapshot).recording(TransitionKind.NOTED, incident, mark)


def _is_so_already(incident: Incident, action: Action, actor: Actor) -> bool:
    """Whether a repeated request finds its work done."""
    match action:
        case Action.ACKNOWLEDGE:
            return incident.state is not State.CLOSED and actor in incident.acknowledged_by
        case Action.UNACKNOWLEDGE:
            return incident.state is State.OPEN and incident.last_kind is TransitionKind.UNACKNOWLEDGED
        case Action.CLOSE:
            return incident.state is State.CLOSED
        case Action.NOTE:
            return False


def _acknowledge(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """The first who sees it changes the state; others, and those who look at it afterwards, are recorded."""
    after = replace(incident, acknowledged_by=(*incident.acknowledged_by, mark.actor))
    if incident.state is State.OPEN:
        after = replace(after, state=State.ACKNOWLEDGED)
    else:
        seen = Cause.CO_ACKNOWLEDGED if incident.state is State.ACKNOWLEDGED else Cause.REVIEWED_AFTER
        mark = replace(mark, cause=seen)
    return applied(snapshot).recording(TransitionKind.ACKNOWLEDGED, after, mark)


def _close(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """Close; a live incident that was not seen clean is latched, so that it neither nags nor is forgotten."""
    drifts = incident.live and snapshot.last_grade is not Grade.OK
    latched = mark.at + timedelta(seconds=snapshot.settings.latch_seconds) if drifts else None
    after = replace(incident, state=State.CLOSED, closed_at=mark.at, latched_until=latched)
    return applied(snapshot).recording(TransitionKind.CLOSED, after, mark)
