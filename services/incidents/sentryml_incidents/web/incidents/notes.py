"""Notes as forms of pages send them."""

from __future__ import annotations

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.http.problems import Problem
from sentryml_incidents.usecases.texts import NOTE_LENGTH_MAX
from sentryml_lifecycle.events.on_action import Action


def read_note(action: Action, note: str) -> str | None:
    """The note that comes with an action; None where there is none.

    Raises:
        Problem: 422, there must be one, or it cannot be kept.
    """
    text = note.replace("\r\n", "\n").strip()
    if action is Action.NOTE and not text:
        raise Problem(422, "invalid-request", "Write the note first.")
    if without_keys(text) != text:
        raise Problem(422, "invalid-request", "The note holds an API key, which is a secret: leave it out.")
    if len(text) > NOTE_LENGTH_MAX or "\x00" in text:
        raise Problem(422, "invalid-request", f"A note has at most {NOTE_LENGTH_MAX} characters of text.")
    return text or None
