"""The incidents that a replay of evaluations would have opened, from its decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import Severity, State
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.snapshot import Incident, Transition


@dataclass(frozen=True, slots=True)
class WouldBe:
    """An incident that a monitor would have opened. `severity` is the highest it reached."""

    opened_at: datetime
    severity: Severity
    state: State
    peak_psi: float
    peak_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    reopened: int
    alerts: int


class WouldBeIncidents:
    """Those of one model, and how many messages would have been sent of them."""

    def __init__(self) -> None:
        self._by_id: dict[UUID, WouldBe] = {}
        self.alerts = 0

    @property
    def incidents(self) -> tuple[WouldBe, ...]:
        """Oldest first."""
        return tuple(self._by_id.values())

    def take(self, before: Incident | None, decision: Decision) -> None:
        """Go on with a decision; `before` is the incident that it began with."""
        for step in decision.transitions:
            self._note(step)
        for incident in (decision.followed, decision.snapshot.incident):
            if incident is not None and incident is not before:
                self._by_id[incident.incident_id] = _as_it_is(self._by_id, incident)

    def _note(self, step: Transition) -> None:
        self.alerts += step.alert
        known = self._by_id.get(step.incident_id)
        if known is not None:
            self._by_id[step.incident_id] = replace(known, alerts=known.alerts + step.alert)


def _as_it_is(known: Mapping[UUID, WouldBe], incident: Incident) -> WouldBe:
    before = known.get(incident.incident_id)
    worst = before.severity if before and before.severity is Severity.CRITICAL else incident.severity
    return WouldBe(
        opened_at=incident.opened_at,
        severity=worst,
        state=incident.state,
        peak_psi=incident.peak_psi,
        peak_at=incident.peak_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        reopened=incident.reopened,
        alerts=before.alerts if before else 1,
    )
