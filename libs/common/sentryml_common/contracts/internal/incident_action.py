"""`POST /v1/internal/incident-actions`, between services: a person acts on an incident from outside the pages."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from sentryml_common.contracts.message import Message

PATH = "/v1/internal/incident-actions"


class IncidentAction(StrEnum):
    """What can be done from outside the pages, under the names of the public API."""

    ACKNOWLEDGE = "acknowledge"
    ACCEPT = "accept"
    WAS_NORMAL = "was-normal"


class ActOnIncident(Message):
    """The person with the account of `email` acts on an incident as it was at `sequence`; `via` is where."""

    email: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{3,320}$")]
    incident_id: UUID
    sequence: Annotated[int, Field(ge=1, lt=2**31)]
    action: IncidentAction
    via: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z ]{0,30}$")]


class ActedOnIncident(Message):
    """Whether it is done now, and the text for the person."""

    done: bool
    text: str
