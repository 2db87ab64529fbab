"""Which alerts are reported together: what opens close together on one channel is an alert group, one message.

Decided when something is due, from what waits on the channel and what it was sent of late:

    opens ──20 s──▶ fewer than 3 within 10 min ──▶ alone, as without groups
                └─▶ 3 or more ──▶ a group: one message of all that wait; what opens before the group closes waits for
                                  that, unless it is critical and the group was not, or an incident escalates
    ends ─────────▶ when no incident of the group is live, or an hour after the first end, then once a day

A delivery that waits for company keeps its row, with the time until which it waits: nothing else is stored of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sentryml_notifier.domain.delivery import DeliveryState, Waiting, next_batch
from sentryml_notifier.domain.routing import CLOSING

LEAST = 3
"""From this number of incidents on, what opens close together is a group."""

LEFT_AFTER, LEFT_EVERY = timedelta(hours=1), timedelta(days=1)
"""When ends are reported though incidents of the group are live: after the first end, then each such time."""

WORSE_EVERY = timedelta(hours=1)
"""How often a closed group is reported because incidents get worse within their severity."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How long an alert waits for company, and for how long more incidents join a group."""

    wait: timedelta
    window: timedelta

    @property
    def hurry_every(self) -> timedelta:
        """How often a group is reported before its time."""
        return self.window / 2


class About(StrEnum):
    """What the waiting deliveries of an incident are about, and a message of a group with them."""

    ALERT = "alert"
    END = "end"
    REMINDER = "reminder"
    LONG_DRIFT = "long_drift"
    STILL_CRITICAL = "still_critical"
    QUIET = "quiet"
    HELD = "held"  # whatever came while a route held it: one summary


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Incidents that opened close together on a channel; what opens before `closes_at` joins.

    `reported_at` is its last message about alerts, `hurried_at` the last that did not wait for it to close,
    `ends_reported_at` the last about ends.
    """

    group_id: UUID
    group_number: int
    began_at: datetime
    closes_at: datetime
    critical: bool = False
    reported_at: datetime | None = None
    hurried_at: datetime | None = None
    ends_reported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What waits of one incident, as one message would cover it.

    `since` is when its last delivery was made; `opens`: an opening alert is among them, `escalated`: an escalation to
    critical is; `attempted`: it has been tried to send before, so it waits for nothing.
    """

    about: About
    since: datetime
    opens: bool = False
    escalated: bool = False
    critical: bool = False
    attempted: bool = False


@dataclass(frozen=True, slots=True)
class Company:
    """What else there is on the channel: `opened` incidents that wait or opened within the window before; of the group,
    `live` incidents, and when the first end that was not reported came."""

    opened: int = 0
    live: int = 0
    first_end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alone:
    """It is sent by itself."""


@dataclass(frozen=True, slots=True)
class Forms:
    """It makes a group with the others, which is reported now."""


@dataclass(frozen=True, slots=True)
class Waits:
    """It belongs to a group, and waits until its next message."""

    group: AlertGroup
    until: datetime


@dataclass(frozen=True, slots=True)
class Reports:
    """It is sent now, with all that waits in its group and is about the same."""

    group: AlertGroup


@dataclass(frozen=True, slots=True)
class NotSent:
    """No message is worth it: a quiet step of one incident of a group."""


Verdict = Alone | Forms | Waits | Reports | NotSent


def whole(queue: Sequence[Waiting]) -> Sequence[Waiting]:
    """The part of the queue of an incident in a group that one message covers: all of it, as things stand.

    Reminders go by themselves, as without groups, where nothing else waits; those of long drift always, but take along
    what is parked.
    """
    ordinary = [each for each in queue if not each.long_drift]
    waits = any(each.state is not DeliveryState.PARKED for each in ordinary)
    return ordinary if waits and any(not each.reminder for each in ordinary) else next_batch(queue)


def about(batch: Sequence[Waiting]) -> About:
    """What a batch is about. An incident that has ended is no alert any more, unless its opening waits too."""
    news = [each for each in batch if not each.reminder]
    if not news:
        if batch[-1].long_drift:
            return About.LONG_DRIFT
        return About.STILL_CRITICAL if batch[-1].still_critical else About.REMINDER
    if not any(each.alert for each in news):
        return About.QUIET
    is_over = any(each.alert and each.kind in CLOSING for each in news)
    return About.END if is_over and not any(each.opens for each in news) else About.ALERT


def judge(
    batch: Batch,
    own: AlertGroup | None,
    open_group: AlertGroup | None,
    company: Company,
    grouping: Grouping,
    now: datetime,
) -> Verdict:
    """What becomes of a batch that is due. `own` is the group that the incident opened in, `open_group` one that had
    not closed when it came."""
    group = own
    if batch.opens and own is None:
        group = open_group
        if group is None and company.opened >= LEAST:
            return Forms()
    if group is None:
        return Alone()
    if batch.about is About.QUIET:
        return NotSent()
    at = now if batch.attempted else report_at(batch, group, company, grouping)
    return Reports(group) if at <= now else Waits(group, at)


def report_at(batch: Batch, group: AlertGroup, company: Company, grouping: Grouping) -> datetime:
    """When a group is to be reported for the sake of a batch."""
    with_others = batch.since + grouping.wait
    match batch.about:
        case About.ALERT:
            return _alert_at(batch, group, grouping)
        case About.END if company.live == 0:
            return max(group.closes_at, with_others)
        case About.END if group.ends_reported_at is not None:
            return group.ends_reported_at + LEFT_EVERY
        case About.END:
            return max(group.closes_at, (company.first_end_at or batch.since) + LEFT_AFTER)
        case _:
            return with_others


def hurries(batch: Batch, group: AlertGroup) -> bool:
    """Whether an alert does not wait for the group to close: an escalation, or what first is critical."""
    return batch.escalated or (batch.critical and not group.critical)


def _alert_at(batch: Batch, group: AlertGroup, grouping: Grouping) -> datetime:
    at = batch.since + grouping.wait
    if group.hurried_at is not None:
        at = max(at, group.hurried_at + grouping.hurry_every)
    if hurries(batch, group):
        return min(at, group.closes_at) if batch.opens else at
    if batch.opens or batch.since < group.closes_at:
        return group.closes_at
    # It got worse within its severity, and so may the others.
    return max(batch.since + grouping.wait, (group.reported_at or batch.since) + WORSE_EVERY)
