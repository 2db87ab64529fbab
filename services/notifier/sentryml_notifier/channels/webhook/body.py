"""What a signed webhook says: the transition as data, and as text; docs/webhook.md describes the form."""

from __future__ import annotations

from typing import Any

import orjson

from sentryml_common.contracts.transition import Transition
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.plain_text import fact_text
from sentryml_notifier.domain.message import Message
from sentryml_notifier.domain.message_input import Reminder
from sentryml_notifier.domain.system_alerts.rules import SystemAlert

VERSION = 1


def body_of(outgoing: Outgoing) -> bytes:
    """The body, as it is signed and sent. The plain form leaves out why and the facts: what makes it long."""
    step, reminder, days = outgoing.story.last, outgoing.story.reminder, outgoing.story.long_drift_days
    return orjson.dumps(
        {
            "v": VERSION,
            "type": _type_of(outgoing),
            "timestamp": _transition(step, plain=True)["at"],
            "data": {
                "delivery_id": str(outgoing.delivery_ids[-1]),
                "delivery_ids": [str(each) for each in outgoing.delivery_ids],
                "group_id": str(outgoing.group_id) if outgoing.group_id else None,
                "repeat": outgoing.possibly_sent,
                "reminder": _reminder(reminder) if reminder and not days else None,
                "long_drift": {"days": days} if days else None,
                **_system(outgoing.system),
                "transition": _transition(step, outgoing.plain) if outgoing.system is None else None,
                "earlier": [_transition(each, outgoing.plain) for each in outgoing.story.reported[:-1]],
                "message": _text(outgoing.message, outgoing.plain),
            },
        },
        option=orjson.OPT_UTC_Z,
    )


def _type_of(outgoing: Outgoing) -> str:
    """What the message is about. A reminder is no step: a receiver that counts alerts must not count one twice."""
    if outgoing.test:
        return "test"
    if outgoing.system is not None:
        return f"system.{'began' if outgoing.system.ended_at is None else 'ended'}"
    if outgoing.story.long_drift_days:
        return "incident.long_drift"
    return "incident.reminder" if outgoing.story.reminder else f"incident.{outgoing.story.last.kind.value}"


def _reminder(reminder: Reminder) -> dict[str, Any]:
    """Which one it is; without an end where the incident was acknowledged and is still critical."""
    times = None if reminder.still_critical else reminder.times
    found: dict[str, Any] = {"number": reminder.number, "times": times}
    return found | {"still_critical": True} if reminder.still_critical else found


def _system(alert: SystemAlert | None) -> dict[str, Any]:
    """What of SentryML does not work, or works again."""
    if alert is None:
        return {}
    fields = {
        "alert_id": str(alert.alert_id),
        "fault": alert.subject.fault.value,
        "channel": alert.subject.channel or None,
        "since": alert.since,
        "ended_at": alert.ended_at,
        "text": alert.text,
    }
    return {"system": fields}


def _transition(step: Transition, plain: bool) -> dict[str, Any]:
    """A transition as it is in `transitions.v1`."""
    found = step.model_dump(mode="json", by_alias=True)
    return found | {"why": []} if plain else found


def _text(message: Message, plain: bool) -> dict[str, Any]:
    facts = () if plain else message.facts
    return {
        "tone": message.tone.value,
        "title": message.title,
        "summary": message.summary,
        "lead": message.lead,
        "notes": list(message.notes),
        "facts": [{"label": fact.label, "text": fact_text(fact)} for fact in facts if not fact.picture],
        "link": {"label": message.link_label, "url": message.link_url},
    }
