"""A neutral message in Slack's form: blocks within Slack's limits by construction, and plain `text` always.

Slack knows three special characters, `&`, `<` and `>`: every string of a message is escaped, so that a model or
category called `<!channel>` calls nobody. Cutting comes before escaping, or an entity could be cut in two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sentryml_common.text import cut, visible
from sentryml_notifier.domain.message import Bars, Fact, Line, Link, Message, Tone

HEADER_LENGTH = 150
SECTION_LENGTH = 3000
TEXT_LENGTH = 3500  # Slack cuts far later; phones show far less
URL_LENGTH = 2000
FACTS_MAX = 20
NOTE_LENGTH = 600

LOOKS = {
    Tone.CRITICAL: ("🔴", "#d92d20"),
    Tone.WARN: ("🟠", "#f79009"),
    Tone.CALM: ("🟢", "#2f9e5f"),
    Tone.NEUTRAL: ("⚪", "#98a2b3"),
}
URL_ESCAPES = {"|": "%7C", "<": "%3C", ">": "%3E", " ": "%20", '"': "%22", "\n": "", "\r": ""}

Block = dict[str, Any]


def rich_payload(message: Message) -> dict[str, Any]:
    """The message with blocks: headline and what happened on top, the rest beside a coloured bar."""
    sign, colour = LOOKS[message.tone]
    title = {"type": "plain_text", "text": _cut_units(f"{sign} {message.title}", HEADER_LENGTH), "emoji": True}
    top: list[Block] = [{"type": "header", "text": title}, _section(f"{_mention(message)}{escape(message.lead)}")]
    if message.notes:
        top.append(_context(message.notes))
    rest = [_section(_fact(fact)) for fact in message.facts[:FACTS_MAX]]
    rest.append(_section(f"*{_link(message.link_label, message.link_url)}*"))
    return {
        "text": _fit([f"{_mention(message)}{escape(cut(message.summary, TEXT_LENGTH // 2))}"], TEXT_LENGTH),
        "blocks": top,
        "attachments": [{"color": colour, "blocks": rest}],
    }


def notice_payload(text: str, link_label: str, link_url: str) -> dict[str, Any]:
    """A sentence for one person, with a link if there is one."""
    link = f" {_link(link_label, link_url)}" if link_url else ""
    return {"text": f"{escape(cut(text, NOTE_LENGTH))}{link}"}


def plain_payload(message: Message) -> dict[str, Any]:
    """The whole message in `text` alone: what is left to try when Slack refuses the blocks."""
    sign, _ = LOOKS[message.tone]
    facts = [line for fact in message.facts[:FACTS_MAX] if not fact.picture for line in _fact(fact).split("\n")]
    notes = [escape(note) for note in message.notes]
    lines = [f"{_mention(message)}{sign} *{escape(message.title)}*", escape(message.lead), *notes]
    lines += [_link(message.link_label, message.link_url), *facts]
    return {"text": _fit(lines, TEXT_LENGTH)}


def _mention(message: Message) -> str:
    """The one mention that there is: what an admin has entered for the route."""
    return f"<!subteam^{message.slack_group}> " if message.slack_group else ""


def escape(text: str) -> str:
    """The text with Slack's three special characters as entities, and nothing hidden in it."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def units(text: str) -> int:
    """Length as Slack counts it: in UTF-16 units, of which an emoji takes two or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _section(text: str) -> Block:
    # verbatim: Slack must not turn `#name`, `@name` or a bare address inside a value into a link.
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": _fit(text.split("\n"), SECTION_LENGTH), "verbatim": True},
    }


def _context(notes: Iterable[str]) -> Block:
    text = "\n".join(f"_{escape(cut(note, NOTE_LENGTH))}_" for note in notes)
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": _fit(text.split("\n"), SECTION_LENGTH), "verbatim": True}],
    }


def _fact(fact: Fact) -> str:
    bullet = "• " if len(fact.lines) > 1 and not fact.picture else ""
    return "\n".join([f"*{escape(fact.label)}*", *(bullet + _line(line) for line in fact.lines)])


def _line(line: Line) -> str:
    return "".join(map(_part, line))


def _part(part: str | datetime | Link | Bars) -> str:
    if isinstance(part, Link):
        return _link(part.label, part.url)
    if isinstance(part, Bars):
        return f"`{escape(part.text)}`"
    return _moment(part) if isinstance(part, datetime) else escape(part)


def _moment(at: datetime) -> str:
    """A time in the reader's own zone; where that cannot be shown, in UTC."""
    fallback = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{fallback}>"


def _link(text: str, address: str) -> str:
    url = "".join(URL_ESCAPES.get(character, character) for character in address)
    label = escape(text)
    if not url.startswith(("https://", "http://")) or len(url) > URL_LENGTH:
        return label
    return f"<{url.replace('&', '&amp;')}|{label}>"


def _fit(lines: list[str], longest: int) -> str:
    """As many whole lines as fit, and a word about the rest; a line that is too long alone is left out too."""
    more = "…"
    kept: list[str] = []
    room = longest - units(more) - 1
    for line in lines:
        room -= units(line) + 1
        if room < 0:
            kept.append(more)
            break
        kept.append(line)
    return "\n".join(kept) or more


def _cut_units(text: str, longest: int) -> str:
    """Cut a text so that Slack's own count of it fits."""
    while units(text) > longest:
        text = cut(text, len(text) - 1)
    return text
