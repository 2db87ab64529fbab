"""The rules of `state_machine_rules` on the pure function alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from sentryml_common.contracts.evaluation import Evaluation, Level, Signal
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Actor, Severity
from sentryml_lifecycle.decision import Decision, Outcome
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.events.on_monitor_change import changes as changed
from sentryml_lifecycle.snapshot import Incident, Snapshot, Transition
from sentryml_lifecycle.state_machine import Asked, Evaluated, MonitorChanged, ReferenceChanged, Ticked, decide
from tests.unit.incidents.builders import ANA, BEN, MODEL, measured
from tests.unit.incidents.state_machine_rules import IncidentMachine, Sight

CRITICAL = 0.2


class Ledger:
    """What a store would hold: the snapshot, every incident as last written, every transition in order."""

    actors = (ANA, BEN)
    model_id = MODEL

    def begin(self, settings: MonitorSettings) -> None:
        self._snapshot = Snapshot(model_id=MODEL, monitor_version=1, settings=settings)
        self._incidents: dict[Any, Incident] = {}
        self._steps: list[Transition] = []

    def take(self, evaluation: Evaluation) -> None:
        self._write(decide(self._snapshot, Evaluated(evaluation), evaluation.evaluated_at))

    def ask(self, incident: Incident, action: Action, actor: Actor, now: datetime) -> bool:
        decision = decide(replace(self._snapshot, incident=incident), Asked(action, actor, "because"), now)
        self._write(decision)
        return decision.outcome is not Outcome.NOT_ALLOWED

    def change(self, changes: dict[str, Any], now: datetime) -> None:
        requested = MonitorSettings.model_validate(self._snapshot.settings.model_dump() | changes)
        if changed(self._snapshot.settings, requested):
            event = MonitorChanged(requested, self._snapshot.monitor_version + 1, ANA)
            self._write(decide(self._snapshot, event, now))

    def change_reference(self, now: datetime) -> None:
        self._write(decide(self._snapshot, ReferenceChanged(None, ANA), now))

    def tick(self, now: datetime) -> None:
        self._write(decide(self._snapshot, Ticked(), now))

    def look(self) -> Sight:
        return Sight(self._snapshot, tuple(self._incidents.values()), tuple(self._steps))

    def _write(self, decision: Decision) -> None:
        self._snapshot = decision.snapshot
        for incident in (decision.followed, decision.snapshot.incident):
            if incident is not None:
                self._incidents[incident.incident_id] = incident
        self._steps += decision.transitions


class TremblingMachine(IncidentMachine):
    """With a rule that is about the function alone, and long."""

    @rule(psi=st.lists(st.floats(0.9 * CRITICAL, 1.1 * CRITICAL), min_size=12, max_size=12))
    def trembles(self, psi: list[float]) -> None:
        """For an hour around the critical threshold: whatever was live, once it was reported as critical nothing more
        is."""
        reported = []
        for each in psi:
            self.minute += 5
            before, (level, shown) = self.sight, self.alerted.shown.get((Signal.SCORE, False), (Level.OK, 0.0))
            self.evaluates(measured(self.evaluation("ok"), score=each))
            new = [step for step in self.sight.steps[len(before.steps) :] if step.alert]
            reported += new
            if before.newest and before.newest.live and before.newest.severity is Severity.CRITICAL:
                assert not new or level is not Level.CRITICAL or 2 * shown <= 1.1 * CRITICAL
        assert len(reported) <= 2, "as a warning, as critical"


def test_any_history_keeps_the_invariants() -> None:
    run_state_machine_as_test(
        lambda: TremblingMachine(Ledger()),
        settings=settings(max_examples=100, stateful_step_count=50),
    )
