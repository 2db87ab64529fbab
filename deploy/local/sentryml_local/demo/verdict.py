"""Whether the demo showed what it promises: a pure function of what was seen from outside.

opened ──▶ critical (at once, or escalated) ──▶ resolved      at least one incident did all of it
every transition that should alert ──▶ its message at the stand-in for Slack
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.transition import Severity, State, Transition, TransitionKind

OPENING = {TransitionKind.OPENED, TransitionKind.REOPENED}
SAID_AS = {
    TransitionKind.OPENED: "opened",
    TransitionKind.ESCALATED: "(to critical|got worse)",
    TransitionKind.REOPENED: "again",
    TransitionKind.RESOLVED: "(resolved by|ended)",
}
"""What the message's sentence about the incident says of each kind; the second text is that of a message that
covers several steps at once."""


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as it came to the stand-in: one line for the eye, and all of it as plain lines."""

    number: int
    at: datetime
    summary: str
    text: str


def missing(transitions: Sequence[Transition], messages: Iterable[SlackMessage]) -> list[str]:
    """What was promised and not seen, one sentence each; empty if all of it was."""
    steps_of = by_incident(transitions)
    if not steps_of:
        return ["No incident was opened."]
    unfinished = {number: _unfinished(steps) for number, steps in steps_of.items()}
    found = []
    if all(unfinished.values()):
        found = [f"Incident #{number} {what}." for number, what in unfinished.items()]
    return found + undelivered(transitions, messages)


def undelivered(transitions: Iterable[Transition], messages: Iterable[SlackMessage]) -> list[str]:
    """The alerts of which Slack has fewer messages than there were transitions, one sentence each."""
    texts = [message.text for message in messages]
    due = Counter((step.incident_number, step.kind) for step in transitions if step.alert)
    return [
        f"Slack has {sent} of {count} messages that incident #{number} was {kind.value}."
        for (number, kind), count in sorted(due.items())
        if (sent := sum(_says(text, number, kind) for text in texts)) < count
    ]


def at_rest(transitions: Iterable[Transition]) -> bool:
    """Whether no incident is live any more."""
    last = {step.incident_number: step.to.state for step in sorted(transitions, key=lambda step: step.sequence)}
    return all(state in {State.RESOLVED, State.CLOSED} for state in last.values())


def by_incident(transitions: Iterable[Transition]) -> dict[int, list[Transition]]:
    """The steps of each incident in their order."""
    steps_of: dict[int, list[Transition]] = {}
    for step in sorted(transitions, key=lambda step: (step.incident_number, step.sequence)):
        steps_of.setdefault(step.incident_number, []).append(step)
    return steps_of


def _unfinished(steps: list[Transition]) -> str | None:
    """What an incident lacks of the whole story; None if nothing."""
    if not any(step.kind in OPENING for step in steps):
        return "was never seen to open"
    if not any(step.to.severity is Severity.CRITICAL for step in steps):
        return "never became critical"
    if not any(step.kind is TransitionKind.RESOLVED for step in steps):
        return "was not resolved"
    return None


def _says(text: str, number: int, kind: TransitionKind) -> bool:
    """Whether a message has a sentence about this incident with the word of this kind."""
    sentence = rf"Incident #{number} .*\b{SAID_AS.get(kind, kind.value)}\b"
    return re.search(sentence, text) is not None
