"""A neutral message as plain text, for all that shows no more than that. Times are in the zone that they come with."""

from __future__ import annotations

from datetime import datetime

from sentryml_notifier.channels.markup import Markup
from sentryml_notifier.domain.message import Fact, Message


def as_text(message: Message, *, pictures: bool = False) -> str:
    """The whole message, without its title; the link comes early, since some places show little of it."""
    facts = (f"{fact.label}\n{_indented(fact)}" for fact in (message.facts if pictures else message.facts_in_words))
    link = f"{message.link_label}:\n{message.link_url}" if message.link_url else message.link_label
    parts = [message.lead, *message.notes, link, *facts]
    return "\n\n".join(parts) + "\n"


def fact_text(fact: Fact) -> str:
    """The lines of a fact, without its label."""
    return "\n".join(map(PLAIN.line, fact.lines))


def moment(at: datetime) -> str:
    """A time to the minute, with its zone."""
    return f"{at:%Y-%m-%d %H:%M %Z}"


def _indented(fact: Fact) -> str:
    return "\n".join(f"  {line}" for line in PLAIN.lines(fact, "- "))


PLAIN = Markup(text=str, link=lambda label, url: f"{label} ({url})", bars=str, moment=moment)
"""Times and addresses are written out."""
