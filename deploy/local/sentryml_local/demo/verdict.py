"""Whether the demo showed what it promises: a pure function of what was seen from outside.

opened ──▶ critical (at once, or escalated) ──▶ resolved      at least one incident did all of it
every transition that should alert ──▶ its message at the stand-in for Slack
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sentryml_common.contracts.transition import Severity, State, Transition, TransitionKind

OPENING = {TransitionKind.OPENED, TransitionKind.REOPENED}


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
    due: dict[tuple[int, TransitionKind], list[Transition]] = defaultdict(list)
    for step in transitions:
        if step.alert:
            due[step.incident_number, step.kind].append(step)
    return [
        f"Slack has {sent} of {len(steps)} messages that incident #{number} was {kind.value}."
        for (number, kind), steps in sorted(due.items())
        if (sent := sum(any(_has(text, step) for step in steps) for text in texts)) < len(steps)
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


def _has(text: str, step: Transition) -> bool:
    """Whether a message about this incident has the sentence of this step, or names it among those that it covers."""
    if not re.search(rf"incident #{step.incident_number}\b", text):
        return False
    return step.text.headline in text or re.search(rf": {re.escape(step.text.step)}$", text, re.MULTILINE) is not None
