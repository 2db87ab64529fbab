"""The buttons of a live incident: what each does, and what it asks before it does that.

Slack's limits: 75 characters on a button and for screen readers, 100, 300 and 30 in a dialog's title, text and buttons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sentryml_common.contracts.internal.incident_action import IncidentAction
from sentryml_common.contracts.transition import State, Transition
from sentryml_notifier.domain.slack_interaction import button_value
from sentryml_notifier.domain.story_text import LIVE

UNDO = "It can be undone on the incident's page for 7 days, or until another incident opens."


@dataclass(frozen=True, slots=True)
class Confirm:
    """Slack's own dialog, which comes before a click counts."""

    title: str
    text: str
    yes: str


@dataclass(frozen=True, slots=True)
class Button:
    """A button, with what screen readers say of it."""

    action: IncidentAction
    label: str
    means: str
    confirm: Confirm | None = None


ACKNOWLEDGE = Button(IncidentAction.ACKNOWLEDGE, "Acknowledge", "Acknowledge this incident. That does not mute alerts.")
STILL_A_FAULT = Button(
    IncidentAction.ACKNOWLEDGE, "Still a fault", "It is still a fault: acknowledge it. Alerts are not muted."
)
NEW_NORMAL = Button(
    IncidentAction.ACCEPT,
    "New normal",
    "Accept the change as the new normal, which closes the incident.",
    Confirm(
        "Accept as the new normal?",
        "This closes the incident. The predictions since it opened become the baseline; after slow drift alone, a new "
        f"reference is made instead. {UNDO}",
        "Accept and close",
    ),
)
WAS_NORMAL = Button(
    IncidentAction.WAS_NORMAL,
    "This was normal",
    "Say that this was normal, which closes the incident.",
    Confirm(
        "Was this normal?",
        "This closes the incident: it was a sale, a holiday or a false alarm. Its time counts as normal again, and "
        f"becomes part of the baseline. If it still drifts, the model stays quiet for a while. {UNDO}",
        "It was normal: close",
    ),
)


def buttons_for(step: Transition, *, silent: bool) -> tuple[Button, ...]:
    """What a person can do to an incident after its last step. Of a `silent` model, nothing is said about what is
    normal."""
    about_normal = (NEW_NORMAL, WAS_NORMAL) if step.to.state in LIVE and not silent else ()
    return (ACKNOWLEDGE, *about_normal) if step.to.state is State.OPEN else about_normal


def answers_for(step: Transition, *, silent: bool) -> tuple[Button, ...]:
    """The answers to the question what long drift, or long silence, is."""
    about_normal = () if silent else (NEW_NORMAL, WAS_NORMAL)
    return (*about_normal, STILL_A_FAULT) if step.to.state in LIVE else ()


def with_buttons(payload: Mapping[str, Any], buttons: Iterable[Button], step: Transition) -> dict[str, Any]:
    """A rich payload with buttons at its end, if there are any: they act on the incident as it is after `step`."""
    elements = [_element(button, button_value(step.incident_id, step.sequence)) for button in buttons]
    if not elements:
        return dict(payload)
    *others, last = payload["attachments"]
    blocks = [*last["blocks"], {"type": "actions", "elements": elements}]
    return {**payload, "attachments": [*others, {**last, "blocks": blocks}]}


def _element(button: Button, value: str) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "button",
        "action_id": button.action.value,
        "text": _plain(button.label),
        "accessibility_label": button.means,
        "value": value,
    }
    if button.confirm is not None:
        ask = button.confirm
        element["confirm"] = {
            "title": _plain(ask.title),
            "text": _plain(ask.text),
            "confirm": _plain(ask.yes),
            "deny": _plain("Cancel"),
        }
    return element


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
