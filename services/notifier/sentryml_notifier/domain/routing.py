"""Which transitions go to which channels, and how urgent each is.

A channel receives a transition at most once, however many of its routes match. An alert is judged by its model, its
severity and its kind. What follows an alert, its end above all, goes where the alert went: a channel that received the
alert receives its end, and one that did not receives no lone "resolved".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from uuid import UUID

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind
from sentryml_notifier.domain.holding.schedule import NEVER, HoldSchedule

ALERTING = frozenset(
    {TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.WORSENED, TransitionKind.REOPENED}
)
"""Kinds that call somebody."""

OPENING = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED})
"""Kinds that open an incident, or open it again."""

CLOSING = frozenset({TransitionKind.RESOLVED, TransitionKind.CLOSED})
"""Kinds that end an incident."""


QUIET_KINDS: Mapping[str, frozenset[TransitionKind]] = {
    "slack_bot": frozenset(TransitionKind),
    "pagerduty": frozenset({TransitionKind.ACKNOWLEDGED, TransitionKind.DEESCALATED}),
    "alertmanager": frozenset({TransitionKind.DEESCALATED}),
}
"""Changes without an alert that a kind of channel gets too, of incidents that it was notified of: it shows the state of
each incident, and these change it."""

WILDCARD = re.compile(r"[*?\[]")


class Urgency(IntEnum):
    """The order in which waiting deliveries leave; the smaller first."""

    CRITICAL_ALERT = 0
    ALERT = 1
    NEWS = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Which transitions go to a channel: no pattern means every model, no kind means whatever alerts.

    A channel that shows the state of an incident gets `quiet_kinds` too, of incidents that it was notified of.
    """

    route_id: UUID
    channel_id: UUID
    model_patterns: tuple[str, ...] = ()
    least_severity: Severity = Severity.WARN
    kinds: frozenset[TransitionKind] = frozenset()
    enabled: bool = True
    quiet_kinds: frozenset[TransitionKind] = frozenset()
    hold: HoldSchedule = NEVER

    def is_for(self, model_id: str) -> bool:
        """Whether it is for a model."""
        return not self.model_patterns or any(fnmatchcase(model_id, each) for each in self.model_patterns)

    def may_concern(self, models: Sequence[str]) -> bool:
        """Whether it may be for a model that one of these patterns matches; no pattern means every model."""
        return not self.model_patterns or any(may_meet(each, models) for each in self.model_patterns)

    def wants(self, step: Step) -> bool:
        """Whether it is for such steps; the end of an alert always is."""
        if not self.kinds:
            return step.alert or step.kind in self.quiet_kinds
        return step.kind in self.kinds or (step.alert and step.kind in CLOSING)

    def held_until(self, step: Step, at: datetime, *, woke_somebody: bool = False) -> datetime | None:
        """Until when the news of a step is held; None if it is not. Critical alerts pass unless the schedule says
        otherwise, and so does the end of an incident whose critical alert has passed (`woke_somebody`).

        Changes that only show how an incident stands are not held: they call nobody.
        """
        if not step.alert and step.kind not in self.kinds:
            return None
        urgent = step.severity is Severity.CRITICAL or (step.kind in CLOSING and woke_somebody)
        if urgent and not self.hold.holds_critical:
            return None
        return self.hold.held_until(step.model_id, at)


@dataclass(frozen=True, slots=True)
class Step:
    """What of a transition decides where it goes."""

    model_id: str
    kind: TransitionKind
    severity: Severity
    alert: bool


@dataclass(frozen=True, slots=True)
class Past:
    """One step before, and by which route to which channel it was sent."""

    kind: TransitionKind
    reported: tuple[tuple[UUID, UUID], ...] = ()


@dataclass(frozen=True, slots=True)
class Notified:
    """Who was notified of the alert, since the incident began or was reopened; None if its beginning is not known."""

    routes: frozenset[UUID]
    channels: frozenset[UUID]


class Why(StrEnum):
    """Why a route takes a transition, or does not."""

    MATCHES = "matches"
    FOLLOWS_ITS_ALERT = "follows_its_alert"
    DISABLED = "disabled"
    NO_ALERT = "no_alert"
    OTHER_KIND = "other_kind"
    OTHER_MODEL = "other_model"
    LESS_SEVERE = "less_severe"
    ALERT_NOT_NOTIFIED = "alert_not_notified"
    ALREADY_NOTIFIED = "already_notified"

    @property
    def taken(self) -> bool:
        """Whether it takes it."""
        return self in (Why.MATCHES, Why.FOLLOWS_ITS_ALERT)

    @property
    def text(self) -> str:
        """The same as a sentence."""
        return WORDS[self]


WORDS: Mapping[Why, str] = {
    Why.MATCHES: "Taken: model, severity and kind match.",
    Why.FOLLOWS_ITS_ALERT: "Taken: its channel received the alert, so it receives what follows.",
    Why.DISABLED: "Not taken: the route is disabled.",
    Why.NO_ALERT: "Not taken: this is not an alert, and the route names no kinds.",
    Why.OTHER_KIND: "Not taken: the route names other kinds.",
    Why.OTHER_MODEL: "Not taken: the route is for other models.",
    Why.LESS_SEVERE: "Not taken: the route is for more severe alerts.",
    Why.ALERT_NOT_NOTIFIED: "Not taken: its channel did not receive the alert, so it does not receive what follows.",
    Why.ALREADY_NOTIFIED: "Not taken: another route takes it to the same channel.",
}


def step_of(transition: Transition) -> Step:
    """What of a transition decides where it goes."""
    return Step(transition.model_id, transition.kind, transition.to.severity, transition.alert)


def notified_by(past: Sequence[Past]) -> Notified | None:
    """Who was notified of the alert, by all earlier steps of the incident, oldest first."""
    begins = next((place for place in reversed(range(len(past))) if past[place].kind in OPENING), None)
    if begins is None:
        return None
    reported = {each for step in past[begins:] if step.kind in ALERTING for each in step.reported}
    return Notified(frozenset(route for route, _ in reported), frozenset(channel for _, channel in reported))


def judge(step: Step, route: Route, notified: Notified | None) -> Why:
    """Whether one route takes a step, the others left aside."""
    if not route.enabled:
        return Why.DISABLED
    if not route.wants(step):
        return Why.OTHER_KIND if route.kinds else Why.NO_ALERT
    if step.kind in ALERTING or (notified is None and (step.alert or route.kinds)):
        return _on_its_own(step, route)
    if notified is None or route.channel_id not in notified.channels:
        return Why.ALERT_NOT_NOTIFIED
    if route.route_id in notified.routes or route.is_for(step.model_id):
        return Why.FOLLOWS_ITS_ALERT
    return Why.OTHER_MODEL


def _on_its_own(step: Step, route: Route) -> Why:
    if not route.is_for(step.model_id):
        return Why.OTHER_MODEL
    if route.least_severity is Severity.CRITICAL and step.severity is not Severity.CRITICAL:
        return Why.LESS_SEVERE
    return Why.MATCHES


def verdicts(step: Step, routes: Iterable[Route], notified: Notified | None = None) -> list[tuple[Route, Why]]:
    """What becomes of a step on each route: of each channel the first that matches takes it."""
    found: list[tuple[Route, Why]] = []
    channels: set[UUID] = set()
    for route in routes:
        why = judge(step, route, notified)
        if why.taken and route.channel_id in channels:
            why = Why.ALREADY_NOTIFIED
        if why.taken:
            channels.add(route.channel_id)
        found.append((route, why))
    return found


def matching_routes(transition: Transition, routes: Iterable[Route], notified: Notified | None = None) -> list[Route]:
    """The routes a transition takes."""
    return [route for route, why in verdicts(step_of(transition), routes, notified) if why.taken]


def assume_notified(step: Step, routes: Sequence[Route]) -> Notified | None:
    """Who would have been notified of an alert of that severity, for a step that follows one and is only described."""
    if step.kind in ALERTING:
        return None
    alert = Step(step.model_id, TransitionKind.OPENED, step.severity, alert=True)
    taken = [route for route, why in verdicts(alert, routes) if why.taken]
    return Notified(frozenset(each.route_id for each in taken), frozenset(each.channel_id for each in taken))


def no_route_reason(routes: Iterable[Route]) -> str:
    """Why no route took an alert, and what to do about it."""
    if any(routes):
        return "No route takes this alert. Add a route that matches it; later alerts go there."
    return (
        "No channel is set up. Set SENTRYML_SLACK_WEBHOOK_URL and restart the notifier, or add a channel and a route "
        "(docs/routes.md): later alerts go there."
    )


def urgency_of(transition: Transition) -> Urgency:
    """How urgent the news of a transition is."""
    if transition.kind not in ALERTING:
        return Urgency.NEWS
    return Urgency.CRITICAL_ALERT if transition.to.severity is Severity.CRITICAL else Urgency.ALERT


def may_meet(pattern: str, others: Sequence[str]) -> bool:
    """Whether a pattern may match a model that one of the others matches too, none of which means every model.

    Where both hold wildcards only what precedes these is compared: there may be no such model all the same.
    """
    return not others or any(_may_both_match(pattern, other) for other in others)


def _may_both_match(one: str, other: str) -> bool:
    one_begins, other_begins = WILDCARD.split(one, 1)[0], WILDCARD.split(other, 1)[0]
    if one_begins == one or other_begins == other:
        return fnmatchcase(one, other) or fnmatchcase(other, one)
    return one_begins.startswith(other_begins) or other_begins.startswith(one_begins)
