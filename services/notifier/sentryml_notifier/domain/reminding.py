"""When to remind of an alarm that nobody has looked at.

Reminders end when the incident is acknowledged, resolves or closes, when a newer alarm has been told, and after as many
as the route asks for. Acknowledging ends reminders; it never silences an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.transition import State


@dataclass(frozen=True, slots=True)
class Told:
    """An alarm that was told by a route which reminds, and what has come of it.

    `told_at` is when it, or the last reminder of it, was delivered; `unseen_at` when the mark of having been seen was
    last taken back; `made` counts the reminders there are, `waiting` says that the last has not been delivered.
    """

    told_at: datetime
    state: State
    made: int
    waiting: bool
    after: timedelta
    times: int
    unseen_at: datetime | None = None


def next_reminder(told: Told, now: datetime) -> int | None:
    """The number of the reminder that is due, from 1; None if none is."""
    since = max(told.told_at, told.unseen_at or told.told_at)
    if told.state is not State.OPEN or told.waiting or told.made >= told.times or now < since + told.after:
        return None
    return told.made + 1
