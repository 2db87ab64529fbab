"""What `decide` answers: the new snapshot and everything that has to be written down with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.transition import SYSTEM, Actor, Cause, Severity, SignalWhy, TransitionKind
from sentryml_lifecycle.snapshot import EvidenceRole, Incident, Snapshot, Transition, transition_id_of
from sentryml_lifecycle.text.psi_explanation import why_of
from sentryml_lifecycle.text.step_text import text_of
from sentryml_lifecycle.worsening import Worse


class Outcome(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REPEATED = "repeated"
    OLDER = "older"
    SUPERSEDED = "superseded"
    MONITOR_DISABLED = "monitor_disabled"
    MODEL_DELETED = "model_deleted"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a step records besides where it led: when, by whom, why; and what is worse, where that is the step."""

    at: datetime
    cause: Cause
    alert: bool = False
    actor: Actor = SYSTEM
    note: str | None = None
    evaluation_id: UUID | None = None
    why: tuple[SignalWhy, ...] = ()
    worse: tuple[Worse, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one event.

    `followed` is the resolved incident that a new one replaces in the same step. `evidence` says for which
    roles the current evaluation is kept with the snapshot's incident.
    """

    outcome: Outcome
    snapshot: Snapshot
    transitions: tuple[Transition, ...] = ()
    evidence: tuple[EvidenceRole, ...] = ()
    followed: Incident | None = None

    def recording(self, kind: TransitionKind, after: Incident, mark: Mark) -> Decision:
        """This decision with one step more, which leads the snapshot's incident to `after`."""
        before = self.snapshot.incident
        new = before is None or before.incident_id != after.incident_id
        worst = Severity.CRITICAL if after.severity is Severity.CRITICAL else after.worst_severity
        after = replace(after, sequence=after.sequence + 1, last_kind=_last_kind(kind, after), worst_severity=worst)
        snapshot = replace(self.snapshot, incident=after)
        step = Transition(
            transition_id=transition_id_of(after.incident_id, after.sequence),
            incident_id=after.incident_id,
            model_id=after.model_id,
            sequence=after.sequence,
            kind=kind,
            at=mark.at,
            from_=None if new or before is None else before.standing,
            to=after.standing,
            actor=mark.actor,
            cause=mark.cause,
            alert=mark.alert,
            text=text_of(kind, mark.cause, mark.actor, mark.at, before, snapshot, mark.worse),
            note=mark.note,
            evaluation_id=mark.evaluation_id,
            why=mark.why,
        )
        return replace(self, snapshot=snapshot, transitions=(*self.transitions, step))

    def with_evidence(self, *roles: EvidenceRole) -> Decision:
        """This decision with the evaluation kept as evidence for `roles`."""
        return replace(self, evidence=(*self.evidence, *roles))


def applied(snapshot: Snapshot) -> Decision:
    """The start of a decision that takes the event into account."""
    return Decision(Outcome.APPLIED, snapshot)


def mark_of(evaluation: Evaluation, cause: Cause, *, alert: bool = False, slow: bool = False) -> Mark:
    """The mark of a step that an evaluation causes: its time is the evaluation's own. With `slow`, its reasons are
    those of slow drift."""
    return Mark(
        at=evaluation.evaluated_at,
        cause=cause,
        alert=alert,
        evaluation_id=evaluation.evaluation_id,
        why=why_of(evaluation, slow=slow),
    )


def _last_kind(kind: TransitionKind, incident: Incident) -> TransitionKind:
    """A note leaves no trace in what happened last."""
    return incident.last_kind if kind is TransitionKind.NOTED else kind
