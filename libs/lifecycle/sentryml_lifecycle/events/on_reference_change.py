"""What another reference does: nothing that was found against the old one counts any more. Part of `state_machine`.

A live incident that nothing but slow drift keeps open ends then; its timeline says that the reference was changed, not
that the data have recovered.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Actor, Cause, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, Outcome, applied
from sentryml_lifecycle.snapshot import SlowCounts, Snapshot


def on_reference_changed(snapshot: Snapshot, reference_id: UUID | None, actor: Actor, now: datetime) -> Decision:
    """Put a reference in force, or none, until an evaluation proposes one."""
    before, incident = snapshot.normal_time, snapshot.incident
    if reference_id == before.reference_id:
        return Decision(Outcome.UNCHANGED, snapshot)
    normal = before.model_copy(update={"reference_id": reference_id, "revision": before.revision + 1})
    after = replace(snapshot, normal_time=normal, slow=SlowCounts(), notified=snapshot.notified.without_slow_drift())
    if incident is None or not incident.live:
        return applied(after)
    if snapshot.drifts_slowly:
        incident = replace(incident, monitor_change=Cause.REFERENCE_CHANGED)
    mark = Mark(now, Cause.REFERENCE_CHANGED, alert=snapshot.drifts_slowly, actor=actor)
    return applied(after).recording(TransitionKind.MONITOR_CHANGED, incident, mark)
