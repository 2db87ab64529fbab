"""A neutral message in Slack's form: blocks within Slack's limits by construction, and plain `text` always.

Slack knows three special characters, `&`, `<` and `>`: every string of a message is escaped, so that a model or
category called `<!channel>` calls nobody. Cutting comes before escaping, or an entity could be cut in two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sentryml_common.text import cut, visible
from sentryml_notifier.channels.markup import COLOURS, SIGNS, Markup, fit, is_web, units
from sentryml_notifier.domain.message import Fact, Message

HEADER_LENGTH = 150
SECTION_LENGTH = 3000
TEXT_LENGTH = 3500  # Slack cuts far later; phones show far less
URL_LENGTH = 2000
FACTS_MAX = 20
NOTE_LENGTH = 600

URL_ESCAPES = {"|": "%7C", "<": "%3C", ">": "%3E", " ": "%20", '"': "%22", "\n": "", "\r": ""}

Block = dict[str, Any]


def rich_payload(message: Message) -> dict[str, Any]:
    """The message with blocks: headline and what happened on top, the rest beside a coloured bar."""
    text = _cut_units(f"{SIGNS[message.tone]} {message.title}", HEADER_LENGTH)
    title = {"type": "plain_text", "text": text, "emoji": True}
    top: list[Block] = [{"type": "header", "text": title}, _section(f"{_mention(message)}{escape(message.lead)}")]
    if message.notes:
        top.append(_context(message.notes))
    rest = [_section(_fact(fact)) for fact in message.facts[:FACTS_MAX]]
    rest.append(_section(f"*{_link(message.link_label, message.link_url)}*"))
    return {
        "text": fit([f"{_mention(message)}{escape(cut(message.summary, TEXT_LENGTH // 2))}"], TEXT_LENGTH),
        "blocks": top,
        "attachments": [{"color": COLOURS[message.tone], "blocks": rest}],
    }


def notice_payload(text: str, link_label: str, link_url: str) -> dict[str, Any]:
    """A sentence for one person, with a link if there is one."""
    link = f" {_link(link_label, link_url)}" if link_url else ""
    return {"text": f"{escape(cut(text, NOTE_LENGTH))}{link}"}


def plain_payload(message: Message) -> dict[str, Any]:
    """The whole message in `text` alone: what is left to try when Slack refuses the blocks."""
    facts = [line for fact in message.facts[:FACTS_MAX] if not fact.picture for line in _fact(fact).split("\n")]
    notes = [escape(note) for note in message.notes]
    lines = [f"{_mention(message)}{SIGNS[message.tone]} *{escape(message.title)}*", escape(message.lead), *notes]
    lines += [_link(message.link_label, message.link_url), *facts]
    return {"text": fit(lines, TEXT_LENGTH)}


def _mention(message: Message) -> str:
    """The one mention that there is: what an admin has entered for the route."""
    return f"<!subteam^{message.slack_group}> " if message.slack_group else ""


def escape(text: str) -> str:
    """The text with Slack's three special characters as entities, and nothing hidden in it."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _context(notes: Iterable[str]) -> Block:
    return {
        "type": "context",
        "elements": [_mrkdwn("\n".join(f"_{escape(cut(note, NOTE_LENGTH))}_" for note in notes))],
    }


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack must not turn `#name`, `@name` or a bare address inside a value into a link.
    return {"type": "mrkdwn", "text": fit(text.split("\n"), SECTION_LENGTH), "verbatim": True}


def _fact(fact: Fact) -> str:
    return "\n".join([f"*{escape(fact.label)}*", *MRKDWN.lines(fact, "• ")])


def _moment(at: datetime) -> str:
    """A time in the reader's own zone; where that cannot be shown, in UTC."""
    fallback = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{fallback}>"


def _link(text: str, address: str) -> str:
    url = "".join(URL_ESCAPES.get(character, character) for character in address)
    label = escape(text)
    if not is_web(url) or len(url) > URL_LENGTH:
        return label
    return f"<{url.replace('&', '&amp;')}|{label}>"


def _cut_units(text: str, longest: int) -> str:
    """Cut a text so that Slack's own count of it fits."""
    while units(text) > longest:
        text = cut(text, len(text) - 1)
    return text


MRKDWN = Markup(text=escape, link=_link, bars=lambda text: f"`{escape(text)}`", moment=_moment)
