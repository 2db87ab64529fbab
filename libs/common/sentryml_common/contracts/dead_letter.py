"""`deadletters.v1`: where a record lies that could not be used, and why. Never its payload: the record itself
stays in its topic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.message import Message, UtcDatetime

SENDER_HEADER = "sentryml-sender"
"""The header of a record in which its producer may give its name."""
LONGEST_SENDER = 64


class DeadLetter(Message):
    """Coordinates of a record that was dead-lettered, with a reason code and a sentence for people. `sender` is the
    producer that the record names in the header SENDER_HEADER; the field is left out where it names none."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    service: str
    reason: str
    detail: str
    at: UtcDatetime
    sender: Annotated[str | None, Field(max_length=LONGEST_SENDER, exclude_if=lambda sender: sender is None)] = None
