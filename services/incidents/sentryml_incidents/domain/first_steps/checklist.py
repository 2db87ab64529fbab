"""The checklist of a new installation: what there is already, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sentryml_common.text import duration

BASELINES_SHOWN = 3


class ChannelState(StrEnum):
    """How far alerts get; the first one that is true of the best channel."""

    DELIVERS = "delivers"
    UNTRIED = "untried"
    BROKEN = "broken"
    NO_ROUTE = "no-route"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model's baseline: `coverage` is what its newest evaluation found of it, None before there is one; `since` is
    when events have been kept for it."""

    model_id: str
    since: datetime
    baseline: timedelta
    current: timedelta
    coverage: float | None

    def left(self, now: datetime) -> timedelta:
        """How long it takes until it is full, if events come all the time; never negative."""
        if self.coverage is not None and self.coverage >= 1:
            return timedelta(0)
        by_time = self.since + self.current + self.baseline - now
        by_coverage = (1 - self.coverage) * self.baseline if self.coverage is not None else timedelta(0)
        return max(by_time, by_coverage, timedelta(0))


@dataclass(frozen=True, slots=True)
class Found:
    """What there is: the number of models that send predictions, whether a test event came, who has signed in, those
    who have an account and have not, and the baselines of some models."""

    models: int
    tested: bool
    signed_in: int
    invited: Sequence[str]
    channels: ChannelState
    baselines: Sequence[Baseline]


class Name(StrEnum):
    """What a step is about."""

    EVENT = "event"
    CHANNEL = "channel"
    PERSON = "person"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is, how it is or what to do, and where (path, words)."""

    name: Name
    title: str
    done: bool
    text: str
    link: tuple[str, str] | None = None


def checklist(found: Found, now: datetime) -> tuple[Step, ...]:
    """The four steps, in the order in which one takes them."""
    return (_event(found), _channel(found.channels), _person(found), _baseline(found, now))


def _event(found: Found) -> Step:
    if found.models:
        text = f"{found.models:,} model{'s send' if found.models > 1 else ' sends'} predictions."
    elif found.tested:
        text = "The test event was counted. Now let your own model send its predictions, with the same key."
    else:
        text = (
            "Create a key: the page that shows it has the commands for curl, Python and Kafka, and sends a test event."
        )
    return Step(Name.EVENT, "A first event", found.models > 0, text)


CHANNELS = {
    ChannelState.DELIVERS: ("Alerts are delivered.", None),
    ChannelState.UNTRIED: (
        "There is a channel with a route, but nothing was delivered yet: send a test message to it.",
        ("/alerts", "Send a test message"),
    ),
    ChannelState.BROKEN: ("Its channel is broken; it says why, and what to do.", ("/alerts", "See what is wrong")),
    ChannelState.NO_ROUTE: (
        "There is a channel, but no route leads to it: nobody is notified.",
        ("/alerts/routes/new", "Add a route"),
    ),
    ChannelState.NONE: (
        "Without one, nobody is notified: Slack, e-mail, PagerDuty, Teams or a webhook.",
        ("/alerts/channels/new", "Add a channel"),
    ),
    ChannelState.UNKNOWN: ("The notifier does not answer, so its channels are not known.", ("/alerts", "See why")),
}


def _channel(state: ChannelState) -> Step:
    text, link = CHANNELS[state]
    return Step(Name.CHANNEL, "A channel that delivers", state is ChannelState.DELIVERS, text, link)


def _person(found: Found) -> Step:
    title, link = "A second person", ("/users", "Add a person")
    if found.signed_in > 1:
        return Step(Name.PERSON, title, True, f"{found.signed_in:,} people have signed in.")
    if found.invited:
        who = found.invited[0]
        return Step(Name.PERSON, title, False, f"{who} has an account, and has not signed in yet.", ("/users", "Users"))
    return Step(Name.PERSON, title, False, "While only you can sign in, nobody acknowledges when you are away.", link)


def _baseline(found: Found, now: datetime) -> Step:
    title = "A full baseline"
    left = sorted((each.left(now), each.model_id) for each in found.baselines)
    if not left:
        text = "It fills by itself from the first event on: 7 days, and the last day is compared with it."
        return Step(Name.BASELINE, title, False, text)
    if not left[0][0]:
        return Step(Name.BASELINE, title, True, f"{left[0][1]} is compared with a full baseline.")
    shown = ", ".join(f"{model_id} in {duration(span)}" for span, model_id in left[:BASELINES_SHOWN])
    more = f", and {len(left) - BASELINES_SHOWN:,} more later" if len(left) > BASELINES_SHOWN else ""
    text = f"It fills by itself while events come: {shown}{more}. From half of it on a model is compared."
    return Step(Name.BASELINE, title, False, text, (f"/models/{left[0][1]}", "How far it is"))
