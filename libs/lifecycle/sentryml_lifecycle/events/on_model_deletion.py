"""The deletion of a model: what it does to the incident, and how it is confirmed.

Deleting takes two requests: the first says what would be lost and gives a confirmation, the second brings it. A
confirmation is valid for the current state of this model, for a few minutes: whatever happens in between makes it void.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

from sentryml_common.contracts.transition import Actor, Cause, State, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, Outcome, applied
from sentryml_lifecycle.snapshot import Snapshot

CONFIRMATION_MINUTES = 10


def on_model_deleted(snapshot: Snapshot, actor: Actor, now: datetime) -> Decision:
    """Close the incident, live or resolved: no data will ever end it. Who was alerted to a live one hears of it."""
    incident = snapshot.incident
    if incident is None or incident.state is State.CLOSED:
        return Decision(Outcome.UNCHANGED, snapshot)
    mark = Mark(now, Cause.MODEL_DELETED, alert=incident.live, actor=actor)
    return applied(snapshot).recording(TransitionKind.CLOSED, incident.closed(now), mark)


def make_confirmation(key: bytes, snapshot: Snapshot, now: datetime) -> str:
    """The confirmation of deleting a model in this state, valid for CONFIRMATION_MINUTES."""
    expires = int((now + timedelta(minutes=CONFIRMATION_MINUTES)).timestamp())
    return f"{expires}-{_sign(key, snapshot, expires)}"


def expiry_of(confirmation: str) -> datetime:
    """Until when a confirmation that `make_confirmation` made is valid."""
    return datetime.fromtimestamp(int(confirmation.partition("-")[0]), UTC)


def why_not_confirmed(key: bytes, snapshot: Snapshot, confirmation: str | None, now: datetime) -> str | None:
    """Why a deletion is not confirmed; None if it is."""
    if confirmation is None:
        return "deleting a model cannot be undone"
    expires, _, signature = confirmation.partition("-")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return "this is no confirmation"
    if now.timestamp() >= int(expires):
        return f"the confirmation is older than {CONFIRMATION_MINUTES} minutes"
    if not hmac.compare_digest(_sign(key, snapshot, int(expires)).encode(), signature.encode()):
        return "the confirmation is of another model, or this one has changed since: a new version or step"
    return None


def _sign(key: bytes, snapshot: Snapshot, expires: int) -> str:
    incident = snapshot.incident
    incident_state = f"{incident.incident_id}/{incident.sequence}" if incident else "-"
    text = f"{snapshot.model_id}|{snapshot.monitor_version}|{incident_state}|{expires}"
    return hmac.digest(key, text.encode(), "sha256").hex()[:32]
