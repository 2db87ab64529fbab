"""When to remind of an alert that nobody has acknowledged, and to ask about drift that lasts. Reminders of what is
acknowledged and still critical are chosen in `store/reminders.py`.

Reminders of an alert end when the incident is acknowledged, resolves or closes, when a newer alert has been delivered,
and after as many as the route asks for. Acknowledging ends them; it does not mute alerts.

A long-drift question comes each time a number of days has passed, as long as the incident is live, acknowledged or
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.transition import State


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert that was delivered by a route with reminders, and its state since.

    `sent_at` is when it, or the last reminder of it, was delivered; `unseen_at` when the mark of having been seen was
    last taken back; `made` counts the reminders there are, `waiting` says that the last has not been delivered.
    """

    sent_at: datetime
    state: State
    made: int
    waiting: bool
    after: timedelta
    times: int
    unseen_at: datetime | None = None


def next_reminder(sent: SentAlert, now: datetime) -> int | None:
    """The number of the reminder that is due, from 1; None if none is."""
    since = max(sent.sent_at, sent.unseen_at or sent.sent_at)
    if sent.state is not State.OPEN or sent.waiting or sent.made >= sent.times or now < since + sent.after:
        return None
    return sent.made + 1


def next_long_drift(began_at: datetime, reminded_days: int, every_days: int, now: datetime) -> int | None:
    """For how many days of drift a reminder is due; None if none is. After an outage only the newest is.

    `reminded_days` is what the last reminder said since the incident began; 0 if there was none.
    """
    days = (now - began_at).days // every_days * every_days
    return days if days > reminded_days else None
