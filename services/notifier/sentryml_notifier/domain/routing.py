"""Which transitions go to which channels, and how urgent each is.

A channel hears a transition at most once, however many of its routes match. An alarm is judged by its model, its
severity and its kind. What follows an alarm, its end above all, goes where the alarm went: a channel that heard the
alarm hears its end, and one that did not hears no lone "resolved".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from uuid import UUID

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind

ALARMS = frozenset({TransitionKind.OPENED, TransitionKind.ESCALATED, TransitionKind.REOPENED})
"""What calls somebody."""

BEGINNINGS = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED})
"""What an incident's life begins with, and begins anew."""

ENDINGS = frozenset({TransitionKind.RESOLVED, TransitionKind.CLOSED})
"""What calls off an alarm."""


WILDCARD = re.compile(r"[*?\[]")


class Urgency(IntEnum):
    """The order in which waiting deliveries leave; the smaller first."""

    CRITICAL_ALARM = 0
    ALARM = 1
    NEWS = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Which transitions go to a channel: no pattern means every model, no kind means whatever alerts.

    A channel that holds conversations is told quiet changes too, of incidents that it has been told of.
    """

    route_id: UUID
    channel_id: UUID
    model_patterns: tuple[str, ...] = ()
    least_severity: Severity = Severity.WARN
    kinds: frozenset[TransitionKind] = frozenset()
    enabled: bool = True
    holds_conversations: bool = False

    def is_for(self, model_id: str) -> bool:
        """Whether it is for a model."""
        return not self.model_patterns or any(fnmatchcase(model_id, each) for each in self.model_patterns)

    def may_concern(self, models: Sequence[str]) -> bool:
        """Whether it may be for a model that one of these patterns matches; no pattern means every model."""
        return not self.model_patterns or any(may_meet(each, models) for each in self.model_patterns)

    def wants(self, step: Step) -> bool:
        """Whether it is for such steps; the end of an alarm always is."""
        if not self.kinds:
            return step.alert or self.holds_conversations
        return step.kind in self.kinds or (step.alert and step.kind in ENDINGS)


@dataclass(frozen=True, slots=True)
class Step:
    """What of a transition decides where it goes."""

    model_id: str
    kind: TransitionKind
    severity: Severity
    alert: bool


@dataclass(frozen=True, slots=True)
class Past:
    """One step before, and by which route to which channel it was told."""

    kind: TransitionKind
    told: tuple[tuple[UUID, UUID], ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """Who was told of the alarm, since the incident began or began anew; None if its beginning is not known."""

    routes: frozenset[UUID]
    channels: frozenset[UUID]


class Why(StrEnum):
    """Why a route takes a transition, or does not."""

    MATCHES = "matches"
    FOLLOWS_ITS_ALARM = "follows_its_alarm"
    DISABLED = "disabled"
    NO_ALERT = "no_alert"
    OTHER_KIND = "other_kind"
    OTHER_MODEL = "other_model"
    LESS_SEVERE = "less_severe"
    ALARM_NOT_HEARD = "alarm_not_heard"
    ALREADY_HEARD = "already_heard"

    @property
    def taken(self) -> bool:
        """Whether it takes it."""
        return self in (Why.MATCHES, Why.FOLLOWS_ITS_ALARM)

    @property
    def words(self) -> str:
        """The same for people."""
        return WORDS[self]


WORDS: Mapping[Why, str] = {
    Why.MATCHES: "Taken: model, severity and kind match.",
    Why.FOLLOWS_ITS_ALARM: "Taken: its channel heard the alarm, so it hears what follows.",
    Why.DISABLED: "Not taken: the route is switched off.",
    Why.NO_ALERT: "Not taken: this is no alert, and the route names no kinds.",
    Why.OTHER_KIND: "Not taken: the route names other kinds.",
    Why.OTHER_MODEL: "Not taken: the route is for other models.",
    Why.LESS_SEVERE: "Not taken: the route is for more severe alarms.",
    Why.ALARM_NOT_HEARD: "Not taken: its channel was not told of the alarm, so it need not hear what follows.",
    Why.ALREADY_HEARD: "Not taken: another route takes it to the same channel.",
}


def step_of(transition: Transition) -> Step:
    """What of a transition decides where it goes."""
    return Step(transition.model_id, transition.kind, transition.to.severity, transition.alert)


def heard_of(past: Sequence[Past]) -> Heard | None:
    """Who was told of the alarm, by all earlier steps of the incident, oldest first."""
    begins = next((place for place in reversed(range(len(past))) if past[place].kind in BEGINNINGS), None)
    if begins is None:
        return None
    told = {each for step in past[begins:] if step.kind in ALARMS for each in step.told}
    return Heard(frozenset(route for route, _ in told), frozenset(channel for _, channel in told))


def judge(step: Step, route: Route, heard: Heard | None) -> Why:
    """Whether one route takes a step, the others left aside."""
    if not route.enabled:
        return Why.DISABLED
    if not route.wants(step):
        return Why.OTHER_KIND if route.kinds else Why.NO_ALERT
    if step.kind in ALARMS or (heard is None and (step.alert or route.kinds)):
        return _on_its_own(step, route)
    if heard is None or route.channel_id not in heard.channels:
        return Why.ALARM_NOT_HEARD
    if route.route_id in heard.routes or route.is_for(step.model_id):
        return Why.FOLLOWS_ITS_ALARM
    return Why.OTHER_MODEL


def _on_its_own(step: Step, route: Route) -> Why:
    if not route.is_for(step.model_id):
        return Why.OTHER_MODEL
    if route.least_severity is Severity.CRITICAL and step.severity is not Severity.CRITICAL:
        return Why.LESS_SEVERE
    return Why.MATCHES


def verdicts(step: Step, routes: Iterable[Route], heard: Heard | None = None) -> list[tuple[Route, Why]]:
    """What becomes of a step on each route: of each channel the first that matches takes it."""
    found: list[tuple[Route, Why]] = []
    channels: set[UUID] = set()
    for route in routes:
        why = judge(step, route, heard)
        if why.taken and route.channel_id in channels:
            why = Why.ALREADY_HEARD
        if why.taken:
            channels.add(route.channel_id)
        found.append((route, why))
    return found


def matching_routes(transition: Transition, routes: Iterable[Route], heard: Heard | None = None) -> list[Route]:
    """The routes a transition takes."""
    return [route for route, why in verdicts(step_of(transition), routes, heard) if why.taken]


def as_if_heard(step: Step, routes: Sequence[Route]) -> Heard | None:
    """Who would have been told of an alarm of that severity, for a step that follows one and is only described."""
    if step.kind in ALARMS:
        return None
    alarm = Step(step.model_id, TransitionKind.OPENED, step.severity, alert=True)
    taken = [route for route, why in verdicts(alarm, routes) if why.taken]
    return Heard(frozenset(each.route_id for each in taken), frozenset(each.channel_id for each in taken))


def why_nobody(routes: Iterable[Route]) -> str:
    """Why no route took an alert, and what to do about it, in words."""
    if any(routes):
        return "No route takes this alert. Alerts like it reach somebody once a route takes them."
    return (
        "No channel is set up. Set SENTRYML_SLACK_WEBHOOK_URL and restart the notifier, or make a channel and a route "
        "(docs/routes.md): later alerts go there."
    )


def urgency_of(transition: Transition) -> Urgency:
    """How urgent the news of a transition is."""
    if transition.kind not in ALARMS:
        return Urgency.NEWS
    return Urgency.CRITICAL_ALARM if transition.to.severity is Severity.CRITICAL else Urgency.ALARM


def may_meet(pattern: str, others: Sequence[str]) -> bool:
    """Whether a pattern may match a model that one of the others matches too, none of which means every model.

    Where both hold wildcards only what stands before these is compared: there may be no such model all the same.
    """
    return not others or any(_may_both_match(pattern, other) for other in others)


def _may_both_match(one: str, other: str) -> bool:
    one_begins, other_begins = WILDCARD.split(one, 1)[0], WILDCARD.split(other, 1)[0]
    if one_begins == one or other_begins == other:
        return fnmatchcase(one, other) or fnmatchcase(other, one)
    return one_begins.startswith(other_begins) or other_begins.startswith(one_begins)
