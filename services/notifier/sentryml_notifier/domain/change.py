"""What people have changed: channels, routes, retries, tests, each in words. A secret is in none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sentryml_common.contracts.transition import Actor


class Action(StrEnum):
    """What was done."""

    CHANNEL_MADE = "channel_made"
    CHANNEL_CHANGED = "channel_changed"
    SECRET_REPLACED = "secret_replaced"
    CHANNEL_DELETED = "channel_deleted"
    ROUTE_MADE = "route_made"
    ROUTE_CHANGED = "route_changed"
    ROUTE_DELETED = "route_deleted"
    RETRY_ASKED = "retry_asked"
    TEST_SENT = "test_sent"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: who did what, when, to which channel, route or delivery, and what that was called then."""

    at: datetime
    actor: Actor
    action: Action
    subject_id: UUID
    subject: str
    text: str


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """What changed, name by name: `enabled: yes → no; kinds: all alerts → opened`. Empty if nothing did."""
    return "; ".join(
        f"{name.replace('_', ' ')}: {shown(before.get(name))} → {shown(value)}"
        for name, value in after.items()
        if value != before.get(name)
    )


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None or value in ("", [], (), {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
