"""`references.v1`: a frozen histogram per model, against which slow drift shows.

A reference is made once and never changes; another one replaces it. `monitors.v1` names the one in force.
"""

from __future__ import annotations

from base64 import b64decode
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from sentryml_common.contracts.message import Message, ModelId, UtcDatetime
from sentryml_common.errors import UndecodableMessage

MOST_BYTES = 32_768
"""Of a packed histogram: a finer one is coarsened until it fits."""


class ReferenceSource(StrEnum):
    """Where a reference comes from."""

    HISTORY = "history"
    """The model's own events: the windows of the evaluation that first had a whole baseline of normal time."""
    UPLOAD = "upload"
    """A histogram that a person or a program has sent."""


class Reference(Message):
    """A model's reference. `counts` are both histograms of `events` events, packed as those of panes are, in base64; if
    it is of the model's own history, they were in [start, end)."""

    reference_id: UUID
    model_id: ModelId
    source: ReferenceSource
    made_at: UtcDatetime
    start: UtcDatetime | None = None
    end: UtcDatetime | None = None
    events: Annotated[int, Field(ge=1)]
    counts: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+=*$", max_length=4 * MOST_BYTES // 3 + 4)]

    @property
    def packed(self) -> bytes:
        """The counts as bytes.

        Raises:
            UndecodableMessage: they are not base64.
        """
        try:
            return b64decode(self.counts, validate=True)
        except ValueError as err:
            raise UndecodableMessage("not_base64", str(err)) from err
