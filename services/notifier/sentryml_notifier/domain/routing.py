"""Which transitions go to which channels, and how urgent each is.

A channel hears a transition at most once, however many of its routes match.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from uuid import UUID

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind

ALARMS = frozenset({TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.REOPENED})
"""What calls somebody."""

ENDINGS = frozenset({TransitionKind.RESOLVED, TransitionKind.CLOSED})
"""What calls off an alarm."""


class Urgency(IntEnum):
    """The order in which waiting deliveries leave; the smaller first."""

    CRITICAL_ALARM = 0
    ALARM = 1
    NEWS = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Which models' alerts go to a channel; no pattern means every model.

    A channel that holds conversations is told quiet changes too, of incidents that it has been told of.
    """

    route_id: UUID
    channel_id: UUID
    model_patterns: tuple[str, ...]
    holds_conversations: bool = False

    def matches(self, transition: Transition) -> bool:
        """Whether the transition is news for the channel, of one of the route's models."""
        patterns = self.model_patterns
        told = transition.alert or self.holds_conversations
        return told and (not patterns or any(fnmatchcase(transition.model_id, each) for each in patterns))


def matching_routes(transition: Transition, routes: Iterable[Route]) -> list[Route]:
    """The routes a transition takes: the first that matches, of each channel."""
    by_channel: dict[UUID, Route] = {}
    for route in routes:
        if route.matches(transition):
            by_channel.setdefault(route.channel_id, route)
    return list(by_channel.values())


def why_nobody(routes: Iterable[Route]) -> str:
    """Why no route took an alert, and what to do about it, in words."""
    if any(routes):
        return "No route takes this alert. Alerts like it reach somebody once a route takes them."
    return "No channel is set up. Set SENTRYML_SLACK_WEBHOOK_URL and restart the notifier: later alerts go there."


def urgency_of(transition: Transition) -> Urgency:
    """How urgent the news of a transition is."""
    if transition.kind not in ALARMS:
        return Urgency.NEWS
    return Urgency.CRITICAL_ALARM if transition.to.severity is Severity.CRITICAL else Urgency.ALARM
