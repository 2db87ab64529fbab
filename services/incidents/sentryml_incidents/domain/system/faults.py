"""What of SentryML stands still, from what its tables say. Pure.

One fault is one finding: where the combiner is down, all models look as they did when it stopped, and that is
`input_stalled`, not the silence of hundreds of models: that is judged up to the time until which predictions were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.internal.system_state import FoundFault, SystemFault
from sentryml_incidents.domain.system.missed_evaluations import Unevaluated

TRANSITION_LATE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the input is: the newest evaluation that says until when predictions had been read, and the latest such
    time; None before there is one."""

    evaluated_at: datetime | None = None
    read_until: datetime | None = None


def input_stalled_since(progress: Progress, after: timedelta) -> datetime | None:
    """Until when predictions have been counted, where evaluations went on for longer than `after` since; else None."""
    if progress.evaluated_at is None or progress.read_until is None:
        return None
    return progress.read_until if progress.evaluated_at - progress.read_until > after else None


def find_faults(
    unevaluated: Unevaluated, progress: Progress, oldest_transition: datetime | None, after: timedelta, now: datetime
) -> tuple[FoundFault, ...]:
    """Everything that stands still; `oldest_transition` waits to be published."""
    found = (_input(progress, after), _evaluations(unevaluated), _transitions(oldest_transition, now))
    return tuple(each for each in found if each is not None)


def _input(progress: Progress, after: timedelta) -> FoundFault | None:
    since = input_stalled_since(progress, after)
    if since is None:
        return None
    text = (
        "What is sent is not counted: is a combiner running, and does it reach Kafka? Its /readyz says what it waits "
        "for."
    )
    return FoundFault(fault=SystemFault.INPUT_STALLED, since=since, text=text)


def _evaluations(unevaluated: Unevaluated) -> FoundFault | None:
    since = unevaluated.stopped_at
    if since is None:
        return None
    return FoundFault(fault=SystemFault.EVALUATIONS_STALLED, since=since, text=unevaluated.why)


def _transitions(oldest: datetime | None, now: datetime) -> FoundFault | None:
    if oldest is None or now - oldest <= TRANSITION_LATE:
        return None
    text = "Transitions of incidents wait to be published. /readyz of incidents says what it waits for."
    return FoundFault(fault=SystemFault.TRANSITIONS_STALLED, since=oldest, text=text)
