"""A message as an event of PagerDuty's Events API v2.

All events of an incident have one `dedup_key`, so PagerDuty keeps one alert of it: triggered, acknowledged, resolved.
"""

from __future__ import annotations

from typing import Any

import orjson

from sentryml_common.contracts.transition import Severity, State, TransitionKind
from sentryml_common.text import cut
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.markup import is_web
from sentryml_notifier.channels.plain_text import fact_text
from sentryml_notifier.domain.routing import CLOSING, OPENING

# https://developer.pagerduty.com/docs/send-alert-event: the longest that PagerDuty accepts.
SUMMARY_LENGTH = 1024
DETAIL_LENGTH = 4000
WORSE = frozenset({TransitionKind.ESCALATED, TransitionKind.WORSENED})
SEVERITIES = {Severity.CRITICAL: "critical", Severity.WARN: "warning"}


def events_of(outgoing: Outgoing, routing_key: str) -> list[bytes]:
    """The events, in their order: one, but for what got worse.

    PagerDuty pages nobody about an alert that is acknowledged there, and does not raise the urgency of one that is
    there already. So what gets worse, and somebody may have acknowledged, is resolved first and triggered again.
    """
    if action_of(outgoing) == "trigger" and gets_worse(outgoing):
        return [resolve_event(outgoing, routing_key), event_of(outgoing, routing_key)]
    return [event_of(outgoing, routing_key)]


def gets_worse(outgoing: Outgoing) -> bool:
    """Whether an incident that the channel has been notified of gets worse."""
    story = outgoing.story
    kinds = {step.kind for step in story.reported}
    return not (outgoing.test or story.reminder or kinds & OPENING) and bool(kinds & WORSE)


def event_of(outgoing: Outgoing, routing_key: str) -> bytes:
    """The event; its plain form has no details."""
    action = action_of(outgoing)
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key_of(outgoing),
    }
    if action == "trigger":
        event |= _trigger(outgoing)
    return orjson.dumps(event)


def resolve_event(outgoing: Outgoing, routing_key: str) -> bytes:
    """The event that ends what is open there."""
    return orjson.dumps({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key_of(outgoing)})


def dedup_key_of(outgoing: Outgoing) -> str:
    """The same for all events of an incident; a test is no incident."""
    return f"sentryml/test/{outgoing.send_id}" if outgoing.test else f"sentryml/{outgoing.story.last.incident_id}"


def action_of(outgoing: Outgoing) -> str:
    """What PagerDuty is to do.

    Only a person's acknowledgement acknowledges: a reminder of an incident that is acknowledged here must not quiet one
    that is not, over there.
    """
    story = outgoing.story
    if outgoing.test or story.reminder:
        return "trigger"
    if story.last.kind in CLOSING or story.last.to.state in (State.RESOLVED, State.CLOSED):
        return "resolve"
    acknowledged = story.last.to.state is State.ACKNOWLEDGED
    if acknowledged and any(step.kind is TransitionKind.ACKNOWLEDGED for step in story.reported):
        return "acknowledge"
    return "trigger"


def _trigger(outgoing: Outgoing) -> dict[str, Any]:
    message, step = outgoing.message, outgoing.story.last
    links = [{"href": message.link_url, "text": message.link_label}]
    return {
        "client": "SentryML",
        "client_url": message.link_url,
        "links": links if is_web(message.link_url) else [],
        "payload": {
            "summary": cut(message.summary, SUMMARY_LENGTH),
            "source": step.model_id,
            "severity": "info" if outgoing.test else SEVERITIES[step.to.severity],
            "timestamp": step.model_dump(mode="json")["at"],
            "component": step.model_id,
            "group": str(outgoing.group_id) if outgoing.group_id else step.model_id,
            "class": step.cause.value,
            "custom_details": {} if outgoing.plain else _details(outgoing),
        },
    }


def _details(outgoing: Outgoing) -> dict[str, Any]:
    message, step = outgoing.message, outgoing.story.last
    return {
        "incident_number": step.incident_number,
        "model_id": step.model_id,
        "group_id": str(outgoing.group_id) if outgoing.group_id else None,
        "step": step.kind.value,
        "what_happened": message.lead,
        "notes": list(message.notes),
        **{fact.label: fact_text(fact)[:DETAIL_LENGTH] for fact in message.facts_in_words},
    }
