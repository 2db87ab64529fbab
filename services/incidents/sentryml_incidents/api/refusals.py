"""What a use case refuses, as a problem: the one place where its errors get a status and a type."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from sentryml_common.http.problems import Problem
from sentryml_common.http.versions import etag
from sentryml_incidents.api.views import incident_view
from sentryml_incidents.usecases.change_reference import etag_of
from sentryml_incidents.usecases.context import context_of
from sentryml_incidents.usecases.errors import (
    ApiKeyNotRotatable,
    DeletionNotConfirmed,
    IncidentMovedOn,
    InvalidMonitor,
    ModelDeleted,
    MonitorChangedMeanwhile,
    MonitorMovedOn,
    NotAllowed,
    ReferenceMovedOn,
    Refused,
    UnknownApiKey,
    UnknownIncident,
    UnknownMarker,
    UnknownModel,
)


def install_refusals(app: FastAPI) -> None:
    """Answer what use cases refuse with a problem."""

    @app.exception_handler(Refused)
    async def on_refused(request: Request, err: Refused) -> Response:
        return problem_of(err, context_of(request).public_url).response()


def problem_of(err: Refused, public_url: str) -> Problem:
    """The problem to answer with; `public_url` is what links begin with."""
    detail = str(err)
    match err:
        case UnknownIncident():
            problem = Problem(404, "unknown-incident", detail)
        case UnknownModel():
            problem = Problem(404, "unknown-model", detail)
        case UnknownMarker():
            problem = Problem(404, "unknown-marker", detail)
        case UnknownApiKey():
            problem = Problem(404, "unknown-api-key", detail)
        case ApiKeyNotRotatable():
            problem = Problem(409, "api-key-not-rotatable", detail)
        case ModelDeleted():
            problem = Problem(409, "model-deleted", detail)
        case NotAllowed():
            problem = Problem(409, "not-allowed", detail, state=err.incident.state, allowed=list(err.allowed))
        case MonitorChangedMeanwhile():
            problem = Problem(409, "monitor-changed-meanwhile", detail)
        case InvalidMonitor():
            problem = Problem(422, "invalid-monitor", detail, errors=err.errors)
        case DeletionNotConfirmed():
            problem = _not_confirmed(err)
        case _:
            problem = _moved_on(err, public_url)
    return problem


def _moved_on(err: Refused, public_url: str) -> Problem:
    match err:
        case IncidentMovedOn():
            return _incident_moved_on(err, public_url)
        case MonitorMovedOn():
            return _monitor_moved_on(err)
        case ReferenceMovedOn():
            return _reference_moved_on(err)
        case _:
            raise TypeError(f"no problem is made of {type(err).__name__}: add it here")


def _incident_moved_on(err: IncidentMovedOn, public_url: str) -> Problem:
    view = incident_view(err.incident, public_url)
    headers = {"ETag": etag(err.incident.sequence)}
    return Problem(412, "incident-moved-on", str(err), headers=headers, incident=view.model_dump(mode="json"))


def _monitor_moved_on(err: MonitorMovedOn) -> Problem:
    headers, monitor = {"ETag": etag(err.monitor.version)}, err.monitor.model_dump(mode="json")
    return Problem(412, "monitor-moved-on", str(err), headers=headers, monitor=monitor)


def _reference_moved_on(err: ReferenceMovedOn) -> Problem:
    found = err.reference_id
    headers = None if found is None else {"ETag": etag_of(found)}
    return Problem(
        412, "reference-moved-on", str(err), headers=headers, reference_id=None if found is None else str(found)
    )


def _not_confirmed(err: DeletionNotConfirmed) -> Problem:
    offered = err.offered
    return Problem(
        409,
        "confirmation-needed",
        str(err),
        confirmation=offered.confirmation,
        expires_at=offered.expires_at.isoformat(),
        evaluations=offered.belongings.evaluations,
        incidents=offered.belongings.incidents,
        live_incident=offered.live_incident,
    )
