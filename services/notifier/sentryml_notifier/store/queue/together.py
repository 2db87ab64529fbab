"""What is sent together: whether a due batch goes alone, waits for its group, or is sent with all others of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sentryml_common.contracts.transition import TransitionKind
from sentryml_common.postgres.pool import Connection
from sentryml_notifier.domain.delivery import DeliveryState
from sentryml_notifier.domain.group_text import GroupReport, worst_first
from sentryml_notifier.domain.grouping import (
    About,
    AlertGroup,
    Alone,
    Batch,
    Company,
    Forms,
    Grouping,
    NotSent,
    Reports,
    Verdict,
    Waits,
    about,
    hurries,
    judge,
    whole,
)
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import Urgency
from sentryml_notifier.store.queue import groups
from sentryml_notifier.store.queue.waiting import (
    Due,
    Rows,
    choose,
    is_held,
    lock_queues,
    may_go,
    read_history,
    waiting_of,
)

LEFT_READ = 200
QUIET_TEXT = "Not sent by itself: its incident is one of an alert group, whose incidents are listed together."


@dataclass(frozen=True, slots=True)
class Together:
    """What one message covers: one incident, or, with a `report`, several of a group."""

    parts: Sequence[Due]
    group: AlertGroup | None = None
    report: GroupReport | None = None


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Deliveries that are not sent, for good, and why."""

    rows: Rows
    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """It waits for its group, which is noted."""


async def with_company(
    connection: Connection, channel_id: UUID, queue: Rows, due: Due, grouping: Grouping, now: datetime
) -> Together | Unneeded | Held:
    """What is sent now with a batch that is due."""
    rows = whole_rows(queue)
    batch = _batch_of(rows)
    own = await groups.find_own_group(connection, channel_id, due.incident_id)
    match await _judge(connection, channel_id, batch, own, grouping, now):
        case Alone():
            return Together([due])
        case NotSent():
            return Unneeded([row for row in rows if not row["reminder"]], QUIET_TEXT)
        case Waits(group=group, until=until):
            await groups.hold(connection, [row["delivery_id"] for row in rows], group, until)
            return Held()
        case Reports(group=group):
            pass
        case Forms():
            since = batch.since - grouping.window
            group = await groups.form_group(connection, channel_id, since, now + grouping.window)
    return await _gather(connection, channel_id, due.incident_id, rows, group, now)


async def _judge(
    connection: Connection,
    channel_id: UUID,
    batch: Batch,
    own: AlertGroup | None,
    grouping: Grouping,
    now: datetime,
) -> Verdict:
    """The verdict, with as much read as it depends on."""
    open_group, company = None, Company()
    if batch.opens and own is None:
        open_group = await groups.find_open_group(connection, channel_id, batch.since)
        company = Company(await groups.count_opened(connection, channel_id, batch.since - grouping.window))
    elif batch.about is About.END and own is not None:
        company = await groups.read_company(connection, channel_id, own)
    return judge(batch, own, open_group, company, grouping, now)


async def _gather(
    connection: Connection, channel_id: UUID, incident_id: UUID, rows: Rows, group: AlertGroup, now: datetime
) -> Together:
    """All that waits in a group and is about the same. What may have arrived is not mixed with what has not."""
    topic, doubt = about([waiting_of(row) for row in rows]), in_doubt(rows)
    if topic is About.ALERT:
        await groups.join_waiting(connection, channel_id, group)
    members = await groups.list_members(connection, group)
    queues = await lock_queues(connection, channel_id, [incident_id, *(members.keys() - {incident_id})])
    found = {each: whole_rows(queue) for each, queue in queues.items()}
    taken = {
        each: batch
        for each, batch in found.items()
        if batch
        and about([waiting_of(row) for row in batch]) is topic
        and in_doubt(batch) == doubt
        and may_go(batch, now)
        and (each == incident_id or not is_held(batch, now))
    }
    parts = [part for part in await choose(connection, taken, incident_id) if not part.is_obsolete]
    batches = [_batch_of(part.rows) for part in parts]
    await groups.join(connection, [row["delivery_id"] for part in parts for row in part.rows], group)
    await groups.note_report(
        connection,
        group,
        topic,
        now,
        critical=any(batch.critical for batch in batches),
        hurried=topic is About.ALERT
        and group.reported_at is not None
        and any(hurries(each, group) for each in batches),
    )
    if len(parts) == 1:
        return Together(parts, group)
    return Together(parts, group, await _report(connection, group, topic, parts, members, now))


async def _report(
    connection: Connection,
    group: AlertGroup,
    topic: About,
    parts: Sequence[Due],
    members: dict[UUID, bool],
    now: datetime,
) -> GroupReport:
    live = [incident_id for incident_id, is_live in members.items() if is_live]
    history = await read_history(connection, live[:LEFT_READ]) if topic is About.END else {}
    counted = [*(part.incident_id for part in parts), *(live if topic is About.END else [])]
    return GroupReport(
        group,
        topic,
        worst_first(part.story for part in parts),
        await groups.count_members(connection, group, counted),
        len(live),
        [Story(steps, steps[-1:]) for steps in history.values()],
        is_open=group.closes_at > now,
    )


def whole_rows(queue: Rows) -> Rows:
    """The part of the queue of an incident that a message about several covers."""
    return queue[: len(whole([waiting_of(row) for row in queue]))]


def _batch_of(rows: Rows) -> Batch:
    waiting = [waiting_of(row) for row in rows]
    return Batch(
        about(waiting),
        rows[-1]["created_at"],
        opens=any(each.opens for each in waiting),
        escalated=any(each.kind is TransitionKind.ESCALATED and not (each.opens or each.reminder) for each in waiting),
        critical=min(row["urgency"] for row in rows) == Urgency.CRITICAL_ALERT,
        attempted=any(row["attempts"] > 0 for row in rows),
    )


def in_doubt(rows: Rows) -> bool:
    """Whether an attempt to send them may have arrived."""
    return any(row["possibly_sent"] or row["state"] == DeliveryState.SENDING for row in rows)
