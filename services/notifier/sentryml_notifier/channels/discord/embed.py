"""A neutral message as one embed of Discord, within Discord's limits by construction.

Discord shows Markdown and turns `@everyone`, `<@1>` and `<#1>` into mentions. So all that comes from outside is
escaped, and `allowed_mentions` lets nobody be called whatever it says.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sentryml_common.text import cut, visible
from sentryml_notifier.channels.markup import COLOURS, MORE, SIGNS, Markup, fit, is_web, markdown_link, units
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.domain.message import Fact, Message

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits, in characters as Discord counts them
TITLE_LENGTH, DESCRIPTION_LENGTH, FIELDS_MAX = 256, 4096, 25
NAME_LENGTH, VALUE_LENGTH, TOTAL_LENGTH = 256, 1024, 6000
CONTENT_LENGTH = 2000
NOTE_LENGTH = 600

MARKUP = re.compile(r"([\\*_~`|\[\]<>@]|^[#-])", re.MULTILINE)
NOBODY: dict[str, Any] = {"parse": []}


def rich_payload(message: Message) -> dict[str, Any]:
    """The message as an embed."""
    title = _fit([f"{SIGNS[message.tone]} {escape(message.title)}"], TITLE_LENGTH)
    notes = [f"*{escape(cut(note, NOTE_LENGTH))}*" for note in message.notes]
    description = _fit([*escape(message.lead).split("\n"), *notes], DESCRIPTION_LENGTH // 2)
    embed: dict[str, Any] = {"title": title, "description": description, "color": int(COLOURS[message.tone][1:], 16)}
    if is_web(message.link_url):
        embed["url"] = message.link_url
        with_link = f"{description}\n{_link(message.link_label, message.link_url)}"
        # An address of thousands of letters is left to the title, which leads there too.
        description = embed["description"] = with_link if units(with_link) <= DESCRIPTION_LENGTH else description
    embed["fields"] = _fields(message, TOTAL_LENGTH - units(title) - units(description))
    return {"embeds": [embed], "allowed_mentions": NOBODY}


def plain_payload(message: Message) -> dict[str, Any]:
    """The whole message as text: what is left to try when Discord refuses the embed."""
    text = f"{SIGNS[message.tone]} {message.title}\n\n{as_text(message)}"
    return {"content": _fit(escape(text).split("\n"), CONTENT_LENGTH), "allowed_mentions": NOBODY}


def escape(text: str) -> str:
    """The text without anything that Discord gives a meaning to, and nothing hidden in it."""
    return MARKUP.sub(r"\\\1", visible(text))


def _fields(message: Message, room: int) -> list[dict[str, Any]]:
    """As many facts as fit into the embed."""
    fields = []
    for fact in message.facts[:FIELDS_MAX]:
        name, value = _fit([escape(fact.label)], NAME_LENGTH), _fit(_lines(fact), VALUE_LENGTH)
        room -= units(name) + units(value)
        if room < 0:
            break
        fields.append({"name": name, "value": value})
    return fields


def _lines(fact: Fact) -> list[str]:
    bullet = "• " if len(fact.lines) > 1 else ""
    return [bullet + MARKDOWN.line(line) for line in fact.lines]


def _moment(at: datetime) -> str:
    """A time in the reader's own zone."""
    return f"<t:{int(at.timestamp())}:f>"


def _link(label: str, url: str) -> str:
    return markdown_link(escape(label), url)


def _fit(lines: list[str], longest: int) -> str:
    return fit(lines, longest, _cut)


def _cut(line: str, longest: int) -> str:
    short = line.encode("utf-16-le", "surrogatepass")[: 2 * longest].decode("utf-16-le", "ignore")
    return f"{short.rstrip(chr(92))}{MORE}"


MARKDOWN = Markup(text=escape, link=_link, bars=lambda text: f"`{text}`", moment=_moment)
