"""`deadletters.v1`: where a record lies that could not be used, and why. Never its payload: the record itself
stays in its topic."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

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
    sender: Annotated[str, StringConstraints(max_length=LONGEST_SENDER)] | None = None

    @model_serializer(mode="wrap")
    def _without_no_sender(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return fields if self.sender is not None else {name: each for name, each in fields.items() if name != "sender"}
