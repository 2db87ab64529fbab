"""Why a use case refuses what it is asked for. The message of each is a sentence for people; what programs and pages
need besides is in its attributes. HTTP is not known here: `api/refusals.py` makes problems of them, `web/` pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.errors import SentryMLError
from sentryml_common.http.versions import etag
from sentryml_incidents.store.deletions import Belongings
from sentryml_lifecycle.events.on_action import Action, allowed
from sentryml_lifecycle.snapshot import Incident


class Refused(SentryMLError):
    """Nothing was done; trying again as it is does not help."""


class UnknownIncident(Refused):
    """There is no incident with this reference that the caller may see."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no incident {reference}")
        self.reference = reference


class IncidentMovedOn(Refused):
    """It has another version than the one that was seen; `incident` is its current state."""

    def __init__(self, incident: Incident) -> None:
        super().__init__(f"incident {incident.incident_number} is at {etag(incident.sequence)} by now: read it again")
        self.incident = incident


HINTS = {
    Action.CLOSE: "; acknowledge it first",
    Action.ACCEPT: "; only a live incident can be accepted, from its opening or a later time that has passed",
    Action.UNDO: "; a word about normal data can be undone for 7 days, until another incident opens, while "
    "the monitor is on",
}


class NotAllowed(Refused):
    """The state of an incident does not allow an action."""

    def __init__(self, incident: Incident, action: Action) -> None:
        self.incident, self.allowed = incident, tuple(str(each) for each in allowed(incident))
        hint = HINTS.get(action, "")
        super().__init__(
            f"incident {incident.incident_number} is {incident.state}: {action} is not allowed{hint}. Allowed now: "
            f"{', '.join(self.allowed)}"
        )


class ModelDeleted(Refused):
    """Nothing can be done to an incident whose model was deleted."""

    def __init__(self, incident: Incident) -> None:
        super().__init__(f"the model of incident {incident.incident_number} was deleted: it is read-only")
        self.incident = incident


class UnknownModel(Refused):
    """No event of the model has arrived yet, or the caller may not see it."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"no model {model_id} has been seen: a model is registered by its first event")
        self.model_id = model_id


class UnknownMarker(Refused):
    """The model has no marker with this id."""

    def __init__(self, marker_id: UUID) -> None:
        super().__init__(f"there is no marker {marker_id}: list the markers to see which there are")


class UnknownApiKey(Refused):
    """There is no key with this id that the caller may manage."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no API key {key_id}: list the keys to see which there are")


class ApiKeyNotRotatable(Refused):
    """The key is over, or was rotated already; the message says which, and what to do."""


class MonitorMovedOn(Refused):
    """It has another version than the one that was seen; `monitor` is its current state."""

    def __init__(self, monitor: Monitor) -> None:
        super().__init__(f"the monitor is at {etag(monitor.version)} by now: read it again")
        self.monitor = monitor


class ReferenceMovedOn(Refused):
    """Another one is in force than the one that was seen, or none; `reference_id` says which."""

    def __init__(self, model_id: str, reference_id: UUID | None) -> None:
        now = "there is none" if reference_id is None else f"it is {reference_id}"
        super().__init__(f"the reference of {model_id} was replaced meanwhile, now {now}: read it again")
        self.reference_id = reference_id


class MonitorChangedMeanwhile(Refused):
    """The change was made for another version than the one in force."""

    def __init__(self, version: int, requested: object) -> None:
        super().__init__(f"the monitor is at version {version} by now, not {requested}: read it again")
        self.version = version


class InvalidMonitor(Refused):
    """Settings are unknown, out of range or contradict each other; `errors` holds `field` and `reason` of each."""

    def __init__(self, errors: Sequence[dict[str, str]]) -> None:
        detail = "; ".join(f"{error['field']}: {error['reason']}" for error in errors)
        super().__init__(f"the monitor stays as it is. {detail}")
        self.errors = list(errors)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a deletion would take away, and what confirms it."""

    confirmation: str
    expires_at: datetime
    belongings: Belongings
    live_incident: int | None


class DeletionNotConfirmed(Refused):
    """No valid confirmation came; `offered` says what would be lost, and holds one. `why_not` says what was wrong."""

    def __init__(self, why_not: str, model_id: str, offered: Offered) -> None:
        live, belongings = offered.live_incident, offered.belongings
        super().__init__(
            f"{why_not}. {belongings.evaluations} evaluations, the monitor and what was counted of {model_id} "
            f"will be lost{f', and its live incident {live} closed' if live else ''}; "
            f"{belongings.incidents} incidents stay readable. To go on, repeat the request with "
            f"?confirmation={offered.confirmation}"
        )
        self.why_not, self.offered = why_not, offered
