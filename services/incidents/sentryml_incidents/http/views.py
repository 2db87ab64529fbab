"""What the API shows of models, incidents and keys, in the field names of the contracts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.evaluation import Evaluation, InsufficientReason, Level
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.transition import Actor, Severity, State
from sentryml_incidents.domain.people import ALLOWED, Action
from sentryml_incidents.domain.snapshot import EvidenceRole, Incident
from sentryml_incidents.store.api_keys import StoredKey
from sentryml_incidents.store.models import ModelSummary
from sentryml_incidents.store.timeline import incident_url


class IncidentView(BaseModel):
    """One incident as it stands. `sequence` is that of its newest transition, and its ETag."""

    incident_id: UUID
    incident_number: int
    model_id: str
    state: State
    severity: Severity
    opened_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    psi: float = Field(description="PSI of the newest evaluation while it was live.")
    peak_psi: float
    peak_at: datetime
    acknowledged_by: list[Actor] = Field(description="Who has seen it as it stands.")
    reopened: int = Field(description="How often drift came back within the reopen window.")
    previous_incident_id: UUID | None
    latched_until: datetime | None = Field(
        description="Closed while it drifted: quiet until then, unless it gets worse or recovers first."
    )
    sequence: int
    model_deleted_at: datetime | None = Field(
        description="The model was deleted then; its incident stays readable, and nothing can be asked for."
    )
    allowed: list[Action] = Field(description="What can be asked for now.")
    incident_url: str


def incident_view(incident: Incident, public_url: str) -> IncidentView:
    """An incident as the API shows it."""
    number = incident.incident_number or 0
    return IncidentView(
        incident_id=incident.incident_id,
        incident_number=number,
        model_id=incident.model_id,
        state=incident.state,
        severity=incident.severity,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        psi=incident.psi,
        peak_psi=incident.peak_psi,
        peak_at=incident.peak_at,
        acknowledged_by=list(incident.acknowledged_by),
        reopened=incident.reopened,
        previous_incident_id=incident.previous_incident_id,
        latched_until=incident.latched_until,
        sequence=incident.sequence,
        model_deleted_at=incident.model_deleted_at,
        allowed=[] if incident.model_deleted_at else list(ALLOWED[incident.state]),
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

    model_id: str
    first_seen: datetime
    last_seen: datetime
    enabled: bool = Field(description="Whether its monitor is on.")
    monitor_version: int
    level: Level | None
    reason: InsufficientReason | None
    psi: float | None
    evaluated_at: datetime | None
    blind_since: datetime | None = Field(description="Since when no evaluation had enough data.")
    incident: LiveIncidentView | None = Field(description="The live incident, if there is one.")


class ModelDetail(ModelView):
    """One model with its monitor and its newest evaluation, bins and all."""

    monitor: Monitor
    latest_evaluation: Evaluation | None


def model_view(model: ModelSummary, public_url: str) -> ModelView:
    """A model as the API shows it in a list."""
    live = model.incident
    return ModelView(
        model_id=model.model_id,
        first_seen=model.first_seen,
        last_seen=model.last_seen,
        enabled=model.enabled,
        monitor_version=model.monitor_version,
        level=model.level,
        reason=model.reason,
        psi=model.psi,
        evaluated_at=model.evaluated_at,
        blind_since=model.blind_since,
        incident=LiveIncidentView(
            incident_id=live.incident_id,
            incident_number=live.incident_number,
            state=live.state,
            severity=live.severity,
            incident_url=incident_url(public_url, live.incident_number),
        )
        if live
        else None,
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
    models: list[str] = Field(description="Patterns of the models it may speak for; none means all.")
    created_at: datetime
    created_by: Actor
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKeyView(ApiKeyView):
    """A key that was just made, with the secret: shown this once."""

    api_key: str


def api_key_view(stored: StoredKey) -> ApiKeyView:
    """A key as the API shows it."""
    return ApiKeyView(**_public(stored.key), created_at=stored.created_at, created_by=stored.created_by)


def _public(key: ApiKey) -> dict[str, object]:
    return key.model_dump(include={"key_id", "name", "scopes", "models", "expires_at", "revoked_at"})
