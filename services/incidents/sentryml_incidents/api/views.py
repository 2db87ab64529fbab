"""What the API shows of models, incidents and keys, in the field names of the contracts."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, Level
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.transition import Actor, Severity, State
from sentryml_incidents.domain.api_keys import EXPIRES_SOON, StoredKey
from sentryml_incidents.store.models import ModelSummary
from sentryml_incidents.store.timeline import incident_url
from sentryml_lifecycle.events.on_action import Action, allowed
from sentryml_lifecycle.snapshot import EvidenceRole, Incident

View = TypeVar("View", bound=BaseModel)

INCIDENT_EXAMPLE: dict[str, JsonValue] = {
    "incident_id": "b6adcd7e-af2f-5ff4-8e48-fc82f236c3e4",
    "incident_number": 17,
    "model_id": "flights-delay",
    "state": "acknowledged",
    "severity": "critical",
    "worst_severity": "critical",
    "opened_at": "2026-11-23T09:15:00Z",
    "resolved_at": None,
    "closed_at": None,
    "psi": 0.31,
    "peak_psi": 0.42,
    "peak_at": "2026-11-23T10:05:00Z",
    "acknowledged_by": [{"type": "api_key", "id": "1yzuze6wvnw0", "name": "on-call bot"}],
    "reopened": 0,
    "previous_incident_id": None,
    "latched_until": None,
    "undo_until": None,
    "model_deleted_at": None,
    "sequence": 3,
    "allowed": ["acknowledge", "unacknowledge", "close", "note"],
    "incident_url": "https://sentryml.example/incidents/17",
}
MODEL_EXAMPLE: dict[str, JsonValue] = {
    "model_id": "flights-delay",
    "first_seen": "2026-04-01T00:00:12Z",
    "last_seen": "2026-11-23T09:19:58Z",
    "enabled": True,
    "monitor_version": 2,
    "level": "critical",
    "reason": None,
    "psi": 0.31,
    "evaluated_at": "2026-11-23T09:15:00Z",
    "not_evaluated_since": None,
    "evaluation_paused_since": None,
    "silent_since": None,
    "incident": {
        "incident_id": "b6adcd7e-af2f-5ff4-8e48-fc82f236c3e4",
        "incident_number": 17,
        "state": "acknowledged",
        "severity": "critical",
        "incident_url": "https://sentryml.example/incidents/17",
    },
}


def view_of(view: type[View], found: Any, **more: Any) -> View:
    """A dataclass as the API shows it: what has the same name in both, and `more` besides or instead."""
    return view.model_validate({each.name: getattr(found, each.name) for each in fields(found)} | more)


class IncidentView(BaseModel):
    """One incident in its current state. `sequence` is that of its newest transition, and its ETag."""

    model_config = ConfigDict(json_schema_extra={"examples": [INCIDENT_EXAMPLE]})

    incident_id: UUID
    incident_number: int
    model_id: str
    state: State
    severity: Severity
    worst_severity: Severity = Field(description="The highest it has ever had.")
    opened_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    psi: float = Field(description="PSI of the newest evaluation while it was live.")
    peak_psi: float
    peak_at: datetime
    acknowledged_by: list[Actor] = Field(description="Who has seen it in its current state.")
    reopened: int = Field(description="How often drift came back within the reopen window.")
    previous_incident_id: UUID | None
    latched_until: datetime | None = Field(
        description="Closed while it drifted: quiet until then, unless it gets worse or recovers first."
    )
    undo_until: datetime | None = Field(
        description="A person's word about normal data has closed it: it can be undone until then."
    )
    sequence: int
    model_deleted_at: datetime | None = Field(
        description="The model was deleted then; its incident stays readable, and no action is possible."
    )
    allowed: list[Action] = Field(description="The actions that are possible now.")
    incident_url: str


def incident_view(incident: Incident, public_url: str) -> IncidentView:
    """An incident as the API shows it."""
    number = incident.incident_number or 0
    return view_of(
        IncidentView,
        incident,
        incident_number=number,
        allowed=() if incident.model_deleted_at else allowed(incident),
        incident_url=incident_url(public_url, number),
    )


class LiveIncidentView(BaseModel):
    """A model's live incident, in short."""

    incident_id: UUID
    incident_number: int
    state: State
    severity: Severity
    incident_url: str


class ModelView(BaseModel):
    """One model. `level`, `reason` and `psi` are of the newest evaluation, null before the first."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL_EXAMPLE]})

    model_id: str
    first_seen: datetime
    last_seen: datetime
    enabled: bool = Field(description="Whether its monitor is on.")
    monitor_version: int
    level: Level | None
    reason: InsufficientReason | None
    psi: float | None
    evaluated_at: datetime | None
    not_evaluated_since: datetime | None = Field(
        description="When it was evaluated last, while three evaluations or more are missing."
    )
    evaluation_paused_since: datetime | None = Field(description="Since when no evaluation had enough data.")
    silent_since: datetime | None = Field(
        description="When the last prediction came in, while none come for longer than the model's pace explains."
    )
    incident: LiveIncidentView | None = Field(description="The live incident, if there is one.")


class ModelDetail(ModelView):
    """One model with its monitor and its newest evaluation, bins and all."""

    # Not the inherited example, which would lack these.
    model_config = ConfigDict(json_schema_extra={"examples": []})

    monitor: Monitor
    latest_evaluation: Evaluation | None
    not_evaluated_because: str | None = Field(
        description="What the missing evaluations of all models say about why; null while none are missing."
    )


def model_view(model: ModelSummary, public_url: str, now: datetime) -> ModelView:
    """A model as the API shows it in a list."""
    live = model.incident
    return view_of(
        ModelView,
        model,
        not_evaluated_since=model.not_evaluated_since(now),
        incident=live and view_of(LiveIncidentView, live, incident_url=incident_url(public_url, live.incident_number)),
    )


class EvidenceView(BaseModel):
    """A whole evaluation, kept for one moment of an incident."""

    role: EvidenceRole
    evaluation: Evaluation


class ApiKeyView(BaseModel):
    """A key without its secret."""

    key_id: str
    name: str
    scopes: list[Scope]
    models: list[str] = Field(description="Patterns of the models it may access; none means all.")
    created_at: datetime
    created_by: Actor
    expires_at: datetime | None
    expires_soon: bool = Field(description="Whether it is valid, and ends within 14 days.")
    revoked_at: datetime | None
    rotated_from: str | None = Field(description="The key that it replaces.")
    replaced_by: str | None = Field(description="The key that replaces it.")
    last_used_at: datetime | None = Field(description="When it was last used, to about a minute.")
    last_used_by: str | None = Field(description="The service it was used for.")


class NewApiKeyView(ApiKeyView):
    """A key that was just made, with the secret: shown this once."""

    api_key: str


def api_key_view(stored: StoredKey, now: datetime) -> ApiKeyView:
    """A key as the API shows it."""
    ends = stored.key.expires_at if stored.key.revoked_at is None else None
    soon = ends is not None and now < ends <= now + EXPIRES_SOON
    return view_of(ApiKeyView, stored, **dict(stored.key), expires_soon=soon)
