"""The times of an incident for which evaluations are kept: what each is called, and which of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.text import capital
from sentryml_lifecycle.snapshot import EvidenceRole

CALLED = {
    EvidenceRole.OPENED: "opened",
    EvidenceRole.ESCALATED: "escalated",
    EvidenceRole.WORSENED: "worsened",
    EvidenceRole.DEESCALATED: "de-escalated",
    EvidenceRole.REOPENED: "reopened",
    EvidenceRole.PEAK: "peak",
    EvidenceRole.RESOLVED: "resolved",
    EvidenceRole.ACCEPTED: "accepted",
}
WHEN = {
    EvidenceRole.OPENED: "when it opened",
    EvidenceRole.ESCALATED: "when it got critical",
    EvidenceRole.WORSENED: "when it got worse",
    EvidenceRole.DEESCALATED: "when it de-escalated to warning",
    EvidenceRole.REOPENED: "when it came back",
    EvidenceRole.PEAK: "at its worst",
    EvidenceRole.RESOLVED: "when it resolved",
    EvidenceRole.ACCEPTED: "when it was accepted as the new normal",
}
LATEST = "latest evaluation"


@dataclass(frozen=True, slots=True)
class Moment:
    """An evaluation that is kept for a moment."""

    role: EvidenceRole
    evaluation_id: UUID
    evaluated_at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """One evaluation that can be shown: what it is called, and the text for when it was."""

    evaluation_id: UUID
    evaluated_at: datetime
    called: str
    when: str


def choices(evidence_times: Sequence[Moment], newest: tuple[UUID, datetime] | None) -> tuple[Choice, ...]:
    """Each evaluation once, oldest first, called by all that it is kept for; `newest` is the model's newest one, where
    that belongs to the incident."""
    roles: dict[tuple[UUID, datetime], list[EvidenceRole]] = {}
    for moment in sorted(evidence_times, key=lambda each: each.evaluated_at):
        roles.setdefault((moment.evaluation_id, moment.evaluated_at), []).append(moment.role)
    if newest is not None:
        roles.setdefault(newest, [])
    return tuple(_choice(*key, found, last=key == newest) for key, found in roles.items())


def _choice(evaluation_id: UUID, at: datetime, roles: Sequence[EvidenceRole], *, last: bool) -> Choice:
    ordered = [role for role in EvidenceRole if role in roles]
    called = [CALLED[role] for role in ordered] + ([LATEST] if last else [])
    when = ", ".join([WHEN[role] for role in ordered] + (["at the latest evaluation"] if last else []))
    return Choice(evaluation_id, at, ", ".join(called), capital(when))
