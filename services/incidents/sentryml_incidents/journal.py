"""One log line and one count for each step of an incident, whatever caused it: called once it is committed."""

from __future__ import annotations

from datetime import datetime

from sentryml_common.contracts.transition import TransitionKind
from sentryml_common.logging import get_logger
from sentryml_incidents.metrics import ACK_SECONDS, INCIDENT_TRANSITIONS_TOTAL, TRANSITIONS_TOTAL
from sentryml_lifecycle.decision import Decision

log = get_logger(__name__)


def report_transitions(decision: Decision) -> None:
    """Log and count the steps of a decision."""
    for step in decision.transitions:
        TRANSITIONS_TOTAL.labels(kind=step.kind).inc()
        came_from = step.from_.state if step.from_ is not None else "none"
        INCIDENT_TRANSITIONS_TOTAL.labels(**{"from": came_from, "to": step.to.state, "cause": step.cause}).inc()
        if step.kind is TransitionKind.ACKNOWLEDGED:
            _observe_acknowledgement(decision, step.at)
        log.info(
            f"incident_{step.kind}",
            model_id=step.model_id,
            incident_id=str(step.incident_id),
            sequence=step.sequence,
            state=step.to.state,
            severity=step.to.severity,
            cause=step.cause,
            actor=step.actor.name,
        )


def _observe_acknowledgement(decision: Decision, at: datetime) -> None:
    """How long it took, where that can be said: `opened_at` is of the first opening."""
    incident = decision.snapshot.incident
    if incident is not None and not incident.reopened:
        ACK_SECONDS.observe((at - incident.opened_at).total_seconds())
