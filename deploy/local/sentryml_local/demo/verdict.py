"""Whether the demo showed what it promises: a pure function of what was seen from outside.

opened ──▶ critical (at once, or escalated) ──▶ resolved      at least one incident did all of it
alerts of three models ──▶ one message                        an alert group
no predictions from a model ──▶ an incident
every transition that should alert ──▶ delivered              and each incident is named at the stand-in for Slack
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.delivery import Delivery, DeliveryState
from sentryml_common.contracts.transition import Cause, Severity, State, Transition, TransitionKind

OPENING = {TransitionKind.OPENED, TransitionKind.REOPENED}
SETTLED = {DeliveryState.DELIVERED, DeliveryState.NOT_SENT}


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as it came to the stand-in: one line for the eye, and all of it as plain lines."""

    number: int
    at: datetime
    summary: str
    text: str


def missing(
    transitions: Sequence[Transition], messages: Sequence[SlackMessage], deliveries: Mapping[UUID, Delivery]
) -> list[str]:
    """What was promised and not seen, one sentence each; empty if all of it was."""
    steps_of = by_incident(transitions)
    if not steps_of:
        return ["No incident was opened."]
    unfinished = {number: _unfinished(steps) for number, steps in steps_of.items()}
    found = []
    if all(unfinished.values()):
        found = [f"Incident #{number} {what}." for number, what in unfinished.items()]
    if not any(each.group_id for each in deliveries.values()):
        found.append("No alerts came as one message.")
    if not any(step.cause is Cause.NO_PREDICTIONS for step in transitions):
        found.append("No model fell silent.")
    return found + undelivered(transitions, deliveries) + _unnamed(steps_of, messages)


def undelivered(transitions: Iterable[Transition], deliveries: Mapping[UUID, Delivery]) -> list[str]:
    """The alerts that have not been delivered, one sentence each."""
    settled = {each.transition_id for each in deliveries.values() if each.state in SETTLED}
    return [
        f"The alert that incident #{step.incident_number} was {step.kind.value} has not been delivered."
        for step in transitions
        if step.alert and step.transition_id not in settled
    ]


def _unnamed(steps_of: Mapping[int, list[Transition]], messages: Sequence[SlackMessage]) -> list[str]:
    """The incidents that alerted and that no message names: what is said to be delivered has to have come."""
    return [
        f"No message in Slack names incident #{number}."
        for number, steps in steps_of.items()
        if any(step.alert for step in steps)
        and not any(re.search(rf"#{number}\b", message.text) for message in messages)
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
