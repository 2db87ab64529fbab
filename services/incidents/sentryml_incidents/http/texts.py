"""Texts that people write. None may hold an API key: it would be kept, shown and published with the text."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from sentryml_common.contracts.api_key import holds_key


def _refuse_keys(text: str) -> str:
    if holds_key(text):
        raise ValueError("holds an API key: take it out, and revoke the key if others may have seen it")
    return text


NoKey = AfterValidator(_refuse_keys)
"""Put it into the Annotated type of a text."""

NOTE_LENGTH_MAX = 4000

NoteText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NOTE_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    Field(description="Plain text.", examples=["the new pricing went live at 9"]),
    NoKey,
]
"""A note for the timeline of an incident."""
