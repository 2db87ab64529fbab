"""What a signed webhook says: the transition as data, and our words for it; docs/webhook.md describes the form."""

from __future__ import annotations

from typing import Any

import orjson

from sentryml_common.contracts.transition import Transition
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.plain_text import fact_text
from sentryml_notifier.domain.message import Message

VERSION = 1


def body_of(outgoing: Outgoing) -> bytes:
    """The body, as it is signed and sent. The plain form leaves out why and the facts: what makes it long."""
    step = outgoing.story.last
    return orjson.dumps(
        {
            "v": VERSION,
            "type": "test" if outgoing.test else f"incident.{step.kind.value}",
            "timestamp": _transition(step, plain=True)["at"],
            "data": {
                "delivery_id": str(outgoing.delivery_ids[-1]),
                "delivery_ids": [str(each) for each in outgoing.delivery_ids],
                "repeat": outgoing.possibly_sent,
                "transition": _transition(step, outgoing.plain),
                "earlier": [_transition(each, outgoing.plain) for each in outgoing.story.told[:-1]],
                "message": _words(outgoing.message, outgoing.plain),
            },
        }
    )


def _transition(step: Transition, plain: bool) -> dict[str, Any]:
    """A transition as it is in `transitions.v1`."""
    found = step.model_dump(mode="json", by_alias=True)
    return found | {"why": []} if plain else found


def _words(message: Message, plain: bool) -> dict[str, Any]:
    facts = () if plain else message.facts
    return {
        "tone": message.tone.value,
        "title": message.title,
        "summary": message.summary,
        "lead": message.lead,
        "notes": list(message.notes),
        "facts": [{"label": fact.label, "text": fact_text(fact)} for fact in facts],
        "link": {"label": message.link_label, "url": message.link_url},
    }
