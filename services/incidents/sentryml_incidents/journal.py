"""One log line and one count for each step of an incident, whoever caused it: called once it is committed."""

from __future__ import annotations

from sentryml_common.logging import get_logger
from sentryml_incidents.domain.decision import Decision
from sentryml_incidents.metrics import TRANSITIONS_TOTAL

log = get_logger(__name__)


def report_transitions(decision: Decision) -> None:
    """Log and count the steps of a decision."""
    for step in decision.transitions:
        TRANSITIONS_TOTAL.labels(kind=step.kind).inc()
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
