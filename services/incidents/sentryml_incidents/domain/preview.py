"""What a monitor would have done over the evaluations that are kept: a replay through the real state machine.

Only data and time move the replay. What people did (acknowledge, close) is not in it, and it begins with nothing live.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Severity, State
from sentryml_incidents.domain.lifecycle import Evaluated, Ticked, decide
from sentryml_incidents.domain.regrading import Basis, regrade, what_differs
from sentryml_incidents.domain.snapshot import Incident, Snapshot, Transition

SAME_TIME = timedelta(milliseconds=1)


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


class Replay:
    """One monitor over a history, evaluation by evaluation, oldest first."""

    def __init__(self, model_id: str, settings: MonitorSettings) -> None:
        self._settings = settings
        self._snapshot = Snapshot(model_id=model_id, monitor_version=1, settings=settings)
        self._incidents: dict[UUID, WouldBe] = {}
        self._last_used: datetime | None = None
        self.alerts = 0
        self.used: Counter[Basis] = Counter()
        self.approximate: set[str] = set()

    @property
    def incidents(self) -> tuple[WouldBe, ...]:
        """What would have been opened, oldest first."""
        return tuple(self._incidents.values())

    def take(self, evaluations: Iterable[Evaluation], versions: Mapping[int, MonitorSettings]) -> None:
        """Go on; `versions` are the settings that evaluations were made under."""
        for evaluation in evaluations:
            made_under = versions.get(evaluation.monitor_version, self._settings)
            if self._settings.enabled and self._is_due(evaluation.evaluated_at, made_under):
                self._take(evaluation, made_under)

    def _is_due(self, at: datetime, made_under: MonitorSettings) -> bool:
        """Evaluations that were made more often than asked for are thinned out."""
        if self._last_used is None or self._settings.every_seconds <= made_under.every_seconds:
            return True
        return at - self._last_used >= timedelta(seconds=self._settings.every_seconds) - SAME_TIME

    def _take(self, evaluation: Evaluation, made_under: MonitorSettings) -> None:
        self._last_used = evaluation.evaluated_at
        graded, basis = regrade(evaluation, made_under, self._settings)
        self.used[basis] += 1
        self.approximate.update(what_differs(made_under, self._settings))
        self._step(Ticked(), evaluation.evaluated_at)
        in_force = graded.model_copy(update={"monitor_version": self._snapshot.monitor_version})
        self._step(Evaluated(in_force), evaluation.evaluated_at)

    def _step(self, event: Evaluated | Ticked, now: datetime) -> None:
        decision = decide(self._snapshot, event, now)
        self._snapshot = decision.snapshot
        for step in decision.transitions:
            self._note(step)
        for incident in (decision.followed, decision.snapshot.incident):
            if incident is not None:
                self._incidents[incident.incident_id] = _as_it_stands(self._incidents, incident)

    def _note(self, step: Transition) -> None:
        self.alerts += step.alert
        known = self._incidents.get(step.incident_id)
        if known is not None:
            self._incidents[step.incident_id] = replace(known, alerts=known.alerts + step.alert)


def _as_it_stands(known: Mapping[UUID, WouldBe], incident: Incident) -> WouldBe:
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
