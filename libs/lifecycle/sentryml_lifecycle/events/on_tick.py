"""What is done when time has passed: it closes what has been resolved for long. Part of `state_machine`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sentryml_common.contracts.transition import Cause, State, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, Outcome, applied
from sentryml_lifecycle.snapshot import Snapshot


def on_tick(snapshot: Snapshot, now: datetime) -> Decision:
    """Close the incident if its time has come."""
    incident = snapshot.incident
    if incident is None or incident.state is not State.RESOLVED or incident.resolved_at is None:
        return Decision(Outcome.UNCHANGED, snapshot)
    if now - incident.resolved_at < timedelta(seconds=snapshot.settings.close_after_seconds):
        return Decision(Outcome.UNCHANGED, snapshot)
    return applied(snapshot).recording(TransitionKind.CLOSED, incident.closed(now), Mark(now, Cause.RESOLVED_LONG_AGO))
