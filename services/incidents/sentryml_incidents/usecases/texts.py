"""Notes that people write on incidents, and markers on models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sentryml_common.http.texts import NoKey

NOTE_LENGTH_MAX, MARKER_LENGTH_MAX = 4000, 200

NoteText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    Field(description="Plain text.", examples=["the new pricing went live at 9"]),
    NoKey,
]
"""A note for the timeline of an incident."""

MarkerText = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=MARKER_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
    Field(description="One line of plain text.", examples=["deployed 2.3"]),
    NoKey,
]
"""What a marker of a model says."""
