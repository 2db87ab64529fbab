"""`deadletters.v1`: where a record lies that could not be used, and why. Never its payload: the record itself
stays in its topic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.message import Message, UtcDatetime


class DeadLetter(Message):
    """Coordinates of a record that was dead-lettered, with a reason code and a sentence for people."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    service: str
    reason: str
    detail: str
    at: UtcDatetime
