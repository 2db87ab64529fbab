"""Notes that people write on incidents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sentryml_common.http.texts import NoKey

NOTE_LENGTH_MAX = 4000

NoteText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    Field(description="Plain text.", examples=["the new pricing went live at 9"]),
    NoKey,
]
"""A note for the timeline of an incident."""
