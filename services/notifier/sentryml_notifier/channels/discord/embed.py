"""A neutral message as one embed of Discord, within Discord's limits by construction.

Discord shows Markdown and turns `@everyone`, `<@1>` and `<#1>` into mentions. So all that comes from outside is
escaped, and `allowed_mentions` lets nobody be called whatever it says.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sentryml_common.text import cut, visible
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.domain.message import Bars, Fact, Line, Link, Message, Tone

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits, in characters as Discord counts them
TITLE_LENGTH, DESCRIPTION_LENGTH, FIELDS_MAX = 256, 4096, 25
NAME_LENGTH, VALUE_LENGTH, TOTAL_LENGTH = 256, 1024, 6000
CONTENT_LENGTH = 2000
NOTE_LENGTH = 600

SIGNS = {Tone.CRITICAL: "🔴", Tone.WARN: "🟠", Tone.CALM: "🟢", Tone.NEUTRAL: "⚪"}
COLOURS = {Tone.CRITICAL: 0xD92D20, Tone.WARN: 0xF79009, Tone.CALM: 0x2F9E5F, Tone.NEUTRAL: 0x98A2B3}
MARKUP = re.compile(r"([\\*_~`|\[\]<>@]|^[#-])", re.MULTILINE)
NOBODY: dict[str, Any] = {"parse": []}
MORE = "…"


def rich_payload(message: Message) -> dict[str, Any]:
    """The message as an embed."""
    title = _fit([f"{SIGNS[message.tone]} {escape(message.title)}"], TITLE_LENGTH)
    notes = [f"*{escape(cut(note, NOTE_LENGTH))}*" for note in message.notes]
    description = _fit([*escape(message.lead).split("\n"), *notes], DESCRIPTION_LENGTH // 2)
    embed: dict[str, Any] = {"title": title, "description": description, "color": COLOURS[message.tone]}
    if message.link_url.startswith(("https://", "http://")):
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


def units(text: str) -> int:
    """Length in UTF-16 units, the most that Discord can count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


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
    return [bullet + _line(line) for line in fact.lines]


def _line(line: Line) -> str:
    return "".join(map(_part, line))


def _part(part: str | datetime | Link | Bars) -> str:
    if isinstance(part, Link):
        return _link(part.label, part.url)
    if isinstance(part, Bars):
        return f"`{part.text}`"
    if isinstance(part, datetime):
        return f"<t:{int(part.astimezone(UTC).timestamp())}:f>"  # in the reader's own zone
    return escape(part)


def _link(label: str, url: str) -> str:
    if not url.startswith(("https://", "http://")) or any(each in url for each in " ()<>\n"):
        return escape(label)
    return f"[{escape(label)}]({url})"


def _fit(lines: list[str], longest: int) -> str:
    """As many whole lines as fit, and a sign for the rest; a first line that is too long is cut."""
    kept: list[str] = []
    room = longest - units(MORE) - 1
    for line in lines:
        if room < units(line) + 1:
            kept.append(MORE if kept else _cut(line, room))
            break
        room -= units(line) + 1
        kept.append(line)
    return "\n".join(kept) or MORE


def _cut(line: str, longest: int) -> str:
    short = line.encode("utf-16-le", "surrogatepass")[: 2 * longest].decode("utf-16-le", "ignore")
    return f"{short.rstrip(chr(92))}{MORE}"
