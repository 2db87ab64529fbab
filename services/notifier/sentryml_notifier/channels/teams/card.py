"""A neutral message as an Adaptive Card, in the envelope that a workflow of Microsoft Teams takes, and within its size.

Text of a card is Markdown, and `<at>…</at>` in it can be a mention: all that comes from outside is escaped, and no
mention is declared, without which none is made.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from sentryml_common.text import cut, visible
from sentryml_notifier.channels.markup import SIGNS, Markup, is_web, markdown_link
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.domain.message import Fact, Message, Tone

# The connector refuses more than about 28 KB, envelope and all (learn.microsoft.com/connectors/teams).
BODY_BYTES_MAX = 24 * 1024
TEXT_LENGTH = 2000
PLAIN_LENGTH = 4000
NOTE_LENGTH = 600

STYLES = {Tone.CRITICAL: "attention", Tone.WARN: "warning", Tone.CALM: "good", Tone.NEUTRAL: "default"}
MARKUP = re.compile(r"([\\*_~`\[\]<>]|^[#-])", re.MULTILINE)
CARD: dict[str, Any] = {
    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": "AdaptiveCard",
    "version": "1.4",  # what all clients of Teams show
}


def rich_payload(message: Message) -> dict[str, Any]:
    """The message as a card: a coloured head, the facts below it as far as they fit."""
    facts = [_block(fact) for fact in message.facts_in_words]
    while facts and size(_payload(message, facts)) > BODY_BYTES_MAX:
        facts.pop()
    return _payload(message, facts)


def plain_payload(message: Message) -> dict[str, Any]:
    """The whole message as one text: what is left to try when the card is refused."""
    text = f"{SIGNS[message.tone]} {message.title}\n\n{as_text(message)}"
    return _envelope({**CARD, "body": [_text(visible(text)[:PLAIN_LENGTH])]})


def size(payload: dict[str, Any]) -> int:
    """How long it is when it is sent."""
    return len(orjson.dumps(payload))


def escape(text: str) -> str:
    """The text without Markdown, and nothing hidden in it."""
    return MARKUP.sub(r"\\\1", visible(text))


def _payload(message: Message, facts: list[dict[str, Any]]) -> dict[str, Any]:
    title = f"{SIGNS[message.tone]} {escape(cut(message.title, TEXT_LENGTH // 4))}"
    head = [_text(title, weight="Bolder", size="Large"), _text(_cut(escape(message.lead)))]
    notes = [_text(escape(cut(note, NOTE_LENGTH)), isSubtle=True, size="Small") for note in message.notes]
    card: dict[str, Any] = {
        **CARD,
        "fallbackText": cut(message.summary, TEXT_LENGTH // 2),
        "msteams": {"width": "Full"},
        "body": [{"type": "Container", "style": STYLES[message.tone], "bleed": True, "items": head}, *notes, *facts],
    }
    if is_web(message.link_url):
        title = cut(message.link_label, TEXT_LENGTH // 10)
        card["actions"] = [{"type": "Action.OpenUrl", "title": title, "url": message.link_url}]
    return _envelope(card)


def _envelope(card: dict[str, Any]) -> dict[str, Any]:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _block(fact: Fact) -> dict[str, Any]:
    label = _text(escape(cut(fact.label, TEXT_LENGTH // 10)), weight="Bolder")
    lines = "\n".join(MARKDOWN.lines(fact, "- "))
    return {"type": "Container", "items": [label, _text(_cut(lines), spacing="Small")]}


def _moment(at: datetime) -> str:
    """A time, which Teams shows in the reader's own zone."""
    utc = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{{{{DATE({utc},SHORT)}}}} {{{{TIME({utc})}}}}"


MARKDOWN = Markup(text=escape, link=lambda label, url: markdown_link(escape(label), url), bars=str, moment=_moment)


def _text(text: str, **more: object) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _cut(text: str) -> str:
    """As many whole lines as fit."""
    if len(text) <= TEXT_LENGTH:
        return text
    whole, _, _ = text[:TEXT_LENGTH].rpartition("\n")
    return f"{whole or text[:TEXT_LENGTH].rstrip(chr(92))}\n…"
