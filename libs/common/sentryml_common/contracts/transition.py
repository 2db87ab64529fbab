"""`transitions.v1`: one step of one incident. The same rows are timeline, audit log and outbox."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from sentryml_common.contracts.evaluation import Bin, Signal, Slicing
from sentryml_common.contracts.message import Message, ModelId, Part, UtcDatetime


class State(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Severity(StrEnum):
    """How bad an incident is; a second axis beside its state."""

    WARN = "warn"
    CRITICAL = "critical"


class TransitionKind(StrEnum):
    """What happened to the incident."""

    OPENED = "opened"
    ESCALATED = "escalated"
    WORSENED = "worsened"
    DEESCALATED = "deescalated"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    NOTED = "noted"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CLOSED = "closed"
    EVALUATION_PAUSED = "evaluation_paused"
    EVALUATION_RESUMED = "evaluation_resumed"
    MONITOR_CHANGED = "monitor_changed"


class Cause(StrEnum):
    """Why a step was taken: a closed set, for logs, metrics, messages and tests alike."""

    PSI_ABOVE_WARN = "psi_above_warn"
    PSI_ABOVE_CRITICAL = "psi_above_critical"
    SLOW_DRIFT = "slow_drift"
    NO_PREDICTIONS = "no_predictions"
    PREDICTIONS_ARE_BACK = "predictions_are_back"
    ANOTHER_SIGNAL = "another_signal"
    SUDDEN_DRIFT_TOO = "sudden_drift_too"
    PSI_DOUBLED = "psi_doubled"
    PSI_BELOW_CRITICAL = "psi_below_critical"
    DATA_RETURNED_TO_NORMAL = "data_returned_to_normal"
    WORSE_THAN_WHEN_CLOSED = "worse_than_when_closed"
    STILL_DRIFTING_AFTER_LATCH = "still_drifting_after_latch"
    FOLLOWED_BY_NEW_INCIDENT = "followed_by_new_incident"
    RESOLVED_LONG_AGO = "resolved_long_ago"
    WARMING_UP = "warming_up"
    TOO_FEW_SAMPLES = "too_few_samples"
    NO_DATA = "no_data"
    NOT_SENT = "not_sent"
    DATA_ARE_BACK = "data_are_back"
    MONITOR_DISABLED = "monitor_disabled"
    MODEL_DELETED = "model_deleted"
    THRESHOLDS_CHANGED = "thresholds_changed"
    BASELINE_CHANGED = "baseline_changed"
    TIMES_CHANGED = "times_changed"
    REFERENCE_CHANGED = "reference_changed"
    REQUESTED = "requested"
    CO_ACKNOWLEDGED = "co_acknowledged"
    REVIEWED_AFTER = "reviewed_after"
    NEW_NORMAL = "new_normal"
    WAS_NORMAL = "was_normal"
    UNDONE = "undone"


class ActorType(StrEnum):
    """Who can change an incident."""

    SYSTEM = "system"
    USER = "user"
    API_KEY = "api_key"


class Actor(Part):
    """Who did it; `id` is null for the system itself."""

    type: ActorType
    id: str | None
    name: str


SYSTEM = Actor(type=ActorType.SYSTEM, id=None, name="SentryML")


class Standing(Part):
    """State and severity at one moment."""

    state: State
    severity: Severity


class SliceWhy(Part):
    """What one version or segment says of a signal that drifts: its own PSI, that of all other predictions, when it
    began, and that in words. Null where it is not known. `value` is null where it is about all segments."""

    slicing: Slicing
    value: str | None
    psi: float | None
    others_psi: float | None
    began: UtcDatetime | None
    text: str


class SignalWhy(Part):
    """Why, for one signal: its PSI against the thresholds in force, the bins that carry most of it, which version or
    segment it is about, and all that in words, so that everyone who tells it tells the same. Transitions from before
    there were words have none. `bars` are the shares of the bins of a drifting signal in block characters, of the
    baseline and of then: two rows of one length. `slices` is left out where nothing is to be said of any, `segment`
    where it is about all predictions of the model."""

    signal: Signal
    segment: str | None = Field(None, exclude_if=lambda segment: segment is None)
    psi: float | None
    warn_at: float | None
    critical_at: float | None
    top_bins: tuple[Bin, ...]
    how_serious: str = ""
    shift: str | None = None
    moves: tuple[str, ...] = ()
    bars: tuple[str, str] | None = Field(None, exclude_if=lambda bars: bars is None)
    slices: Annotated[tuple[SliceWhy, ...], Field(exclude_if=operator.not_)] = ()


class Marked(Part):
    """What people or programs have marked at a time of a model, in their words."""

    at: UtcDatetime
    text: str


class TransitionText(Part):
    """A step in words, made when it was decided; pages, API and messages show the same.

    `title` says severity, what and which model, for a locked screen; `headline` what happened and its cause, in a
    sentence or two; `step` is the name of the step; `next` says what happens automatically and what can be done.
    All are one line of plain text; times are in UTC.
    """

    title: str
    headline: str
    step: str
    next: tuple[str, ...]


class Transition(Message):
    """One step of an incident's life; `sequence` counts from 1 within the incident.

    `from` is null for the step that opens the incident. `markers` are those of the current window before a step that
    says that something is wrong, the latest first; left out where there are none.
    """

    transition_id: UUID
    incident_id: UUID
    incident_number: Annotated[int, Field(ge=1)]
    model_id: ModelId
    sequence: Annotated[int, Field(ge=1)]
    kind: TransitionKind
    at: UtcDatetime
    from_: Standing | None = Field(alias="from")
    to: Standing
    actor: Actor
    cause: Cause
    alert: bool
    note: str | None
    evaluation_id: UUID | None
    why: tuple[SignalWhy, ...]
    markers: Annotated[tuple[Marked, ...], Field(exclude_if=operator.not_)] = ()
    text: TransitionText
    incident_url: str
