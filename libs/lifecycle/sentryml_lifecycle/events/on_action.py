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
from sentryml_lifecycle.events.on_word_about_normal import on_accepted, on_undone, on_was_normal
from sentryml_lifecycle.grades import Grade
from sentryml_lifecycle.snapshot import Incident, Snapshot


class Action(StrEnum):
    """What can be asked for."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    CLOSE = "close"
    ACCEPT = "accept"
    WAS_NORMAL = "was-normal"
    UNDO = "undo"
    NOTE = "note"


ALLOWED: dict[State, tuple[Action, ...]] = {
    State.OPEN: (Action.ACKNOWLEDGE, Action.ACCEPT, Action.WAS_NORMAL, Action.NOTE),
    State.ACKNOWLEDGED: (
        Action.ACKNOWLEDGE,
        Action.UNACKNOWLEDGE,
        Action.CLOSE,
        Action.ACCEPT,
        Action.WAS_NORMAL,
        Action.NOTE,
    ),
    State.RESOLVED: (Action.ACKNOWLEDGE, Action.CLOSE, Action.WAS_NORMAL, Action.NOTE),
    State.CLOSED: (Action.NOTE,),
}


ABOUT_NORMAL = (Action.ACCEPT, Action.WAS_NORMAL)


def allowed(incident: Incident) -> tuple[Action, ...]:
    """What the incident's state allows; `undo` where a word about normal time has closed it. Where predictions have
    stopped and nothing else, there is nothing to say about what is normal."""
    by_state = ALLOWED[incident.state]
    if incident.no_predictions:
        by_state = tuple(action for action in by_state if action not in ABOUT_NORMAL)
    return (*by_state, *([Action.UNDO] if incident.undo_until is not None else []))


def on_asked(snapshot: Snapshot, incident: Incident, action: Action, mark: Mark, since: datetime | None) -> Decision:
    """Do what was asked, find it done already, or say that it is not allowed. `mark` says when, by whom and with which
    note; `since` is when an accepted new normal begins."""
    if _is_so_already(incident, action, mark.actor):
        return Decision(Outcome.UNCHANGED, snapshot)
    if action not in allowed(incident):
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    match action:
        case Action.ACKNOWLEDGE:
            decision = _acknowledge(snapshot, incident, mark)
        case Action.UNACKNOWLEDGE:
            decision = applied(snapshot).recording(TransitionKind.UNACKNOWLEDGED, incident.unseen(), mark)
        case Action.CLOSE:
            decision = _close(snapshot, incident, mark)
        case Action.ACCEPT:
            decision = on_accepted(snapshot, incident, mark, since)
        case Action.WAS_NORMAL:
            decision = on_was_normal(snapshot, incident, mark)
        case Action.UNDO:
            decision = on_undone(snapshot, incident, mark)
        case Action.NOTE:
            decision = applied(snapshot).recording(TransitionKind.NOTED, incident, mark)
    return decision


def _is_so_already(incident: Incident, action: Action, actor: Actor) -> bool:
    """Whether a repeated request finds its work done."""
    match action:
        case Action.ACKNOWLEDGE:
            return incident.state is not State.CLOSED and actor in incident.acknowledged_by
        case Action.UNACKNOWLEDGE:
            return incident.state is State.OPEN and incident.last_kind is TransitionKind.UNACKNOWLEDGED
        case Action.CLOSE:
            return incident.state is State.CLOSED
        case Action.ACCEPT | Action.WAS_NORMAL:
            return incident.undo_until is not None
        case Action.UNDO:
            return incident.state is State.OPEN and incident.last_kind is TransitionKind.REOPENED
        case Action.NOTE:
            return False


def _acknowledge(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """The first who sees it changes the state; others, and those who review it afterwards, are recorded."""
    after = replace(incident, acknowledged_by=(*incident.acknowledged_by, mark.actor))
    if incident.state is State.OPEN:
        after = replace(after, state=State.ACKNOWLEDGED)
    else:
        seen = Cause.CO_ACKNOWLEDGED if incident.state is State.ACKNOWLEDGED else Cause.REVIEWED_AFTER
        mark = replace(mark, cause=seen)
    return applied(snapshot).recording(TransitionKind.ACKNOWLEDGED, after, mark)


def _close(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """Close; a live incident that was not seen clean is latched, so that it neither nags nor is forgotten."""
    drifts = incident.live and (snapshot.last_grade is not Grade.OK or snapshot.drifts_slowly)
    latched = mark.at + timedelta(seconds=snapshot.settings.latch_seconds) if drifts else None
    after = replace(incident.closed(mark.at), latched_until=latched)
    return applied(snapshot).recording(TransitionKind.CLOSED, after, mark)
