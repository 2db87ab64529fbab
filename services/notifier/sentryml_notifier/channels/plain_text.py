"""A neutral message as plain text, for all that shows no more than that. Times are in the zone that they come with."""

from __future__ import annotations

from datetime import datetime

from sentryml_notifier.domain.message import Bars, Fact, Line, Link, Message


def as_text(message: Message, *, pictures: bool = False) -> str:
    """The whole message, without its title; the link comes early, since some places show little of it."""
    facts = (f"{fact.label}\n{_indented(fact)}" for fact in (message.facts if pictures else message.facts_in_words))
    link = f"{message.link_label}:\n{message.link_url}" if message.link_url else message.link_label
    parts = [message.lead, *message.notes, link, *facts]
    return "\n\n".join(parts) + "\n"


def fact_text(fact: Fact) -> str:
    """The lines of a fact, without its label."""
    return "\n".join(map(line_text, fact.lines))


def line_text(line: Line) -> str:
    """A line with its times and addresses written out."""
    return "".join(map(_part_text, line))


def _part_text(part: str | datetime | Link | Bars) -> str:
    if isinstance(part, Link):
        return f"{part.label} ({part.url})"
    if isinstance(part, Bars):
        return part.text
    return moment(part) if isinstance(part, datetime) else part


def moment(at: datetime) -> str:
    """A time to the minute, with its zone."""
    return f"{at:%Y-%m-%d %H:%M %Z}"


def _indented(fact: Fact) -> str:
    bullet = "- " if len(fact.lines) > 1 and not fact.picture else ""
    return "\n".join(f"  {bullet}{line_text(line)}" for line in fact.lines)
