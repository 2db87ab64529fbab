"""What the state machine knows of one model between two events, and what it writes down when it moves.

The whole of it is stored with every step, in the same transaction: a process that takes over goes on exactly
where the last one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_common.contracts.transition import (
    Actor,
    Cause,
    Marked,
    Severity,
    SignalWhy,
    Standing,
    State,
    TransitionKind,
    TransitionText,
)
from sentryml_lifecycle.grades import Grade
from sentryml_lifecycle.silence import Silence
from sentryml_lifecycle.worsening import Notified

IDS = UUID("5f6b1f2e-6f0b-5c7e-9d0a-3b8f0c8f5a11")
LIVE = (State.OPEN, State.ACKNOWLEDGED)
ALARMING = (TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.WORSENED, TransitionKind.REOPENED)
"""Steps that say that something is wrong."""
LAST_VERSION = 2**31 - 1


class EvidenceRole(StrEnum):
    """Which moment of an incident an evaluation is kept for, with all its bins and for ever."""

    OPENED = "opened"
    ESCALATED = "escalated"
    WORSENED = "worsened"
    DEESCALATED = "deescalated"
    REOPENED = "reopened"
    PEAK = "peak"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Counts:
    """Evaluations in a row: at warn or worse, at critical, below critical by a margin, clean; and for how long clean.
    `drift_from` is where the current window of the first one at warn or worse begins.

    Time between two clean evaluations counts as clean only if both could see.
    """

    warn: int = 0
    critical: int = 0
    below_critical: int = 0
    ok: int = 0
    ok_seconds: float = 0.0
    drift_from: datetime | None = None

    def counting(self, grade: Grade, below_critical: bool, seconds: float, window_start: datetime) -> Counts:
        """The counts after one more evaluation, `seconds` after the one before it, whose current window begins at
        `window_start`."""
        below = self.below_critical + 1 if below_critical else 0
        drift_from = self.drift_from or window_start
        if grade is Grade.CRITICAL:
            return Counts(warn=self.warn + 1, critical=self.critical + 1, drift_from=drift_from)
        if grade is Grade.WARN:
            return Counts(warn=self.warn + 1, below_critical=below, drift_from=drift_from)
        if grade is Grade.HOLD:
            return Counts(below_critical=below)
        if grade is Grade.OK:
            clean = self.ok_seconds + seconds if self.ok else 0.0
            return Counts(below_critical=below, ok=self.ok + 1, ok_seconds=clean)
        return self


@dataclass(frozen=True, slots=True)
class SlowCounts:
    """Comparisons with the reference in a row: that drift, and that are clean. `confirmed` says whether slow drift is;
    `since` is when it was first found; `psi` is that of the latest comparison."""

    drifting: int = 0
    clean: int = 0
    since: datetime | None = None
    confirmed: bool = False
    psi: float = 0.0


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident in its current state.

    `sequence` is that of its newest transition. `acknowledged_by` has seen it in its current state: whatever changes
    what there is to see empties it. `monitor_change` is set while nothing but a changed monitor separates the
    last drift from now. `worst_severity` is the highest it has ever had. `undo_until` is set where a
    person's word about normal time has closed it. `no_predictions` says that silence has opened it and nothing else was
    found since. `incident_number` is given by the database,
    hence None until the first write, and so is `model_deleted_at`: of what is deleted with its model nothing changes
    any more.
    """

    incident_id: UUID
    model_id: str
    state: State
    severity: Severity
    opened_at: datetime
    psi: float
    peak_psi: float
    peak_at: datetime
    sequence: int = 0
    last_kind: TransitionKind = TransitionKind.OPENED
    acknowledged_by: tuple[Actor, ...] = ()
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopened: int = 0
    previous_incident_id: UUID | None = None
    monitor_change: Cause | None = None
    latched_until: datetime | None = None
    undo_until: datetime | None = None
    worst_severity: Severity = Severity.WARN
    incident_number: int | None = None
    model_deleted_at: datetime | None = None
    no_predictions: bool = False

    @property
    def live(self) -> bool:
        """Whether it is open or acknowledged."""
        return self.state in LIVE

    @property
    def shown_severity(self) -> Severity:
        """What a badge says: while it is live how bad it is now, afterwards how bad it was at its worst."""
        return self.severity if self.live else self.worst_severity

    @property
    def standing(self) -> Standing:
        """State and severity."""
        return Standing(state=self.state, severity=self.severity)

    def unseen(self) -> Incident:
        """Open, since nobody has seen it as it is now."""
        return replace(self, state=State.OPEN, acknowledged_by=())

    def reopened_once_more(self) -> Incident:
        """Open again, after it was over."""
        return replace(self.unseen(), resolved_at=None, reopened=self.reopened + 1)

    def resolved(self, at: datetime) -> Incident:
        """Over, unless drift comes back soon."""
        return replace(self, state=State.RESOLVED, resolved_at=at, acknowledged_by=())

    def closed(self, at: datetime) -> Incident:
        """Over for good."""
        return replace(self, state=State.CLOSED, closed_at=at)

    def called_normal(self, now: datetime) -> bool:
        """Whether a person has said that its drift is normal, while it lasts."""
        return self.undo_until is not None and self.latched(now)

    def latched(self, now: datetime) -> bool:
        """Whether it was closed while drifting and still keeps its model quiet."""
        return self.latched_until is not None and now < self.latched_until


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one model's state machine. `incident` is the model's newest one, whatever its state, or
    the one that a person asks about. `last_grade` is of the last evaluation that could see. `first_version` is the
    version of the monitor with which the model was registered: evaluations under earlier ones are of a deleted model
    of the same id. `notified` is what people were notified of in the model's newest incident."""

    model_id: str
    monitor_version: int
    settings: MonitorSettings
    incident: Incident | None = None
    counts: Counts = field(default_factory=Counts)
    slow: SlowCounts = field(default_factory=SlowCounts)
    notified: Notified = field(default_factory=Notified)
    silence: Silence = field(default_factory=Silence)
    last_evaluation_id: UUID | None = None
    last_evaluated_at: datetime | None = None
    last_grade: Grade | None = None
    evaluation_paused_since: datetime | None = None
    first_version: int = 1
    normal_time: NormalTime = field(default_factory=NormalTime)

    @property
    def drifts_slowly(self) -> bool:
        """Whether slow drift is confirmed, and the monitor wants a warning of it."""
        return self.settings.slow_drift and self.slow.confirmed

    @property
    def confirmed_severity(self) -> Severity | None:
        """The severity that evaluations in a row confirm: against the baseline, or else against the reference."""
        return self.confirmed_drift or (Severity.WARN if self.drifts_slowly else None)

    def is_slow(self, severity: Severity) -> bool:
        """Whether a severity is that of slow drift, since the comparison with the baseline does not give it."""
        return severity is Severity.WARN and self.confirmed_drift is None and self.drifts_slowly

    @property
    def confirmed_drift(self) -> Severity | None:
        """The severity that evaluations in a row confirm against the baseline."""
        if self.counts.critical >= self.settings.confirm_critical:
            return Severity.CRITICAL
        if self.counts.warn >= self.settings.confirm_warn:
            return Severity.WARN
        return None

    @property
    def confirms_clean(self) -> bool:
        """Whether the data have been like the baseline for long enough."""
        counts, settings = self.counts, self.settings
        return counts.ok >= settings.confirm_resolve and counts.ok_seconds >= settings.resolve_dwell_seconds


@dataclass(frozen=True, slots=True)
class Transition:
    """One step, as it is written down; the published form adds the incident's number and address."""

    transition_id: UUID
    incident_id: UUID
    model_id: str
    sequence: int
    kind: TransitionKind
    at: datetime
    from_: Standing | None
    to: Standing
    actor: Actor
    cause: Cause
    alert: bool
    text: TransitionText
    note: str | None = None
    evaluation_id: UUID | None = None
    why: tuple[SignalWhy, ...] = ()
    markers: tuple[Marked, ...] = ()


def incident_id_of(model_id: str, evaluation_id: UUID) -> UUID:
    """The id of the incident that an evaluation opens: the same on every replay."""
    return uuid5(IDS, f"incident/{model_id}/{evaluation_id}")


def transition_id_of(incident_id: UUID, sequence: int) -> UUID:
    """The id of an incident's step."""
    return uuid5(IDS, f"transition/{incident_id}/{sequence}")


def reference_id_of(before: Snapshot, now: datetime) -> UUID:
    """The id of a reference that replaces the one in force."""
    return uuid5(IDS, f"reference/{before.model_id}/{before.normal_time.revision}/{now.isoformat()}")


def deleted_model(model_id: str, settings: MonitorSettings) -> Snapshot:
    """A model that does not exist any more: no evaluation decides anything about it."""
    return Snapshot(model_id=model_id, monitor_version=LAST_VERSION, settings=settings, first_version=LAST_VERSION)
