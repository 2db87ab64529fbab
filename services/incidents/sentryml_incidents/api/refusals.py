"""What a use case refuses, as a problem: the one place where its errors get a status and a type."""

from __future__ import annotations

from typing import Any

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
    Offered,
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


KINDS: dict[type[Refused], tuple[int, str]] = {
    UnknownIncident: (404, "unknown-incident"),
    UnknownModel: (404, "unknown-model"),
    UnknownMarker: (404, "unknown-marker"),
    UnknownApiKey: (404, "unknown-api-key"),
    ApiKeyNotRotatable: (409, "api-key-not-rotatable"),
    ModelDeleted: (409, "model-deleted"),
    NotAllowed: (409, "not-allowed"),
    MonitorChangedMeanwhile: (409, "monitor-changed-meanwhile"),
    DeletionNotConfirmed: (409, "confirmation-needed"),
    IncidentMovedOn: (412, "incident-moved-on"),
    MonitorMovedOn: (412, "monitor-moved-on"),
    ReferenceMovedOn: (412, "reference-moved-on"),
    InvalidMonitor: (422, "invalid-monitor"),
}
"""Status and type of each."""


def problem_of(err: Refused, public_url: str) -> Problem:
    """The problem to answer with: what programs need to go on, and the ETag of what has moved on. `public_url` is what
    links begin with."""
    tag: str | None = None
    more: dict[str, Any] = {}
    match err:
        case IncidentMovedOn():
            tag = etag(err.incident.sequence)
            more = {"incident": incident_view(err.incident, public_url).model_dump(mode="json")}
        case MonitorMovedOn():
            tag, more = etag(err.monitor.version), {"monitor": err.monitor.model_dump(mode="json")}
        case ReferenceMovedOn():
            found = err.reference_id
            tag = None if found is None else etag_of(found)
            more = {"reference_id": None if found is None else str(found)}
        case NotAllowed():
            more = {"state": err.incident.state, "allowed": list(err.allowed)}
        case InvalidMonitor():
            more = {"errors": err.errors}
        case DeletionNotConfirmed():
            more = _offered(err.offered)
    return Problem(*KINDS[type(err)], str(err), headers={"ETag": tag} if tag else None, **more)


def _offered(offered: Offered) -> dict[str, Any]:
    return {
        "confirmation": offered.confirmation,
        "expires_at": offered.expires_at.isoformat(),
        "evaluations": offered.belongings.evaluations,
        "incidents": offered.belongings.incidents,
        "live_incident": offered.live_incident,
    }
