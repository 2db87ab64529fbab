"""A press of a button in Slack, read from what Slack sends: over HTTP and by Socket Mode it is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sentryml_common.contracts.internal.incident_action import IncidentAction

VALUE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9][0-9]{0,8})", re.ASCII)
SLACK_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody acts on an incident as it was at `sequence`. `user` and `channel` are Slack's ids."""

    action: IncidentAction
    incident_id: UUID
    sequence: int
    user: str
    channel: str


def button_value(incident_id: UUID, sequence: int) -> str:
    """What a button carries, and a press brings back; the button's id is the action."""
    return f"{incident_id}:{sequence}"


def read_press(payload: object) -> Press | None:
    """The press in an interaction's payload; None if it is something else, or makes no sense."""
    if not isinstance(payload, Mapping) or payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    if not isinstance(action, Mapping) or action.get("action_id") not in list(IncidentAction):
        return None
    value = VALUE.fullmatch(str(action.get("value", "")))
    user, channel = _id_in(payload, "user"), _id_in(payload, "channel")
    if value is None or user is None or channel is None:
        return None
    return Press(IncidentAction(action["action_id"]), UUID(value[1]), int(value[2]), user, channel)


def _id_in(payload: Mapping[str, Any], name: str) -> str | None:
    part = payload.get(name)
    found = part.get("id") if isinstance(part, Mapping) else None
    return found if isinstance(found, str) and SLACK_ID.fullmatch(found) else None
