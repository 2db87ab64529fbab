"""`POST /v1/internal/acknowledgements`, between services: a person marks an incident as seen from outside the pages."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from sentryml_common.contracts.message import Message

PATH = "/v1/internal/acknowledgements"


class Acknowledge(Message):
    """The person with the account of `email` marks an incident as seen, as it was at `sequence`; `via` is where."""

    email: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{3,320}$")]
    incident_id: UUID
    sequence: Annotated[int, Field(ge=1, lt=2**31)]
    via: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z ]{0,30}$")]


class Acknowledged(Message):
    """Whether it is marked now, and the text for the person."""

    acknowledged: bool
    text: str
