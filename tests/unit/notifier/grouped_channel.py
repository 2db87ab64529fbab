"""A channel in memory that groups as the notifier does: the decisions are its own, queues and clock are simple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.domain.delivery import DeliveryState, Waiting, next_batch
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
    Waits,
    about,
    hurries,
    judge,
    whole,
)
from sentryml_notifier.domain.routing import CLOSING, OPENING

K = TransitionKind


@dataclass(slots=True)
class Row:
    """One delivery."""

    incident: int
    sequence: int
    kind: TransitionKind
    critical: bool
    created_at: datetime
    due_at: datetime
    group: UUID | None = None
    sent: bool = False
    dropped: bool = False

    @property
    def waiting(self) -> Waiting:
        state = DeliveryState.DELIVERED if self.sent else DeliveryState.PENDING
        alert = self.kind in OPENING | CLOSING | {K.ESCALATED, K.WORSENED}
        return Waiting(UUID(int=0), self.sequence, self.kind, state, alert=alert, opens=self.kind in OPENING)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message: when, of which deliveries, and of which group if it was sent for one."""

    at: datetime
    rows: Sequence[Row]
    group: UUID | None

    @property
    def incidents(self) -> set[int]:
        return {row.incident for row in self.rows}

    @property
    def kinds(self) -> set[TransitionKind]:
        return {row.kind for row in self.rows}


@dataclass(slots=True)
class GroupedChannel:
    """Takes steps in, and sends as time passes."""

    grouping: Grouping
    now: datetime
    steps: dict[int, list[Row]] = field(default_factory=dict)
    groups: dict[UUID, AlertGroup] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def take_in(self, incident: int, kind: TransitionKind, *, critical: bool = False) -> None:
        """One step, now."""
        due_at = self.now + (self.grouping.wait if kind in OPENING else timedelta(0))
        for row in self._queue(incident):
            row.due_at = min(row.due_at, due_at)
        steps = self.steps.setdefault(incident, [])
        steps.append(Row(incident, len(steps) + 1, kind, critical, self.now, due_at))

    @property
    def rows(self) -> list[Row]:
        return [row for steps in self.steps.values() for row in steps]

    def pass_time(self, until: datetime) -> None:
        """Send whatever becomes due until then."""
        while True:
            while self._send_one():
                pass
            later = [
                row.due_at for row in self.rows if not row.sent and not row.dropped and self.now < row.due_at <= until
            ]
            if not later:
                break
            self.now = min(later)
        self.now = until

    def group_of(self, incident: int) -> AlertGroup | None:
        """The group that it opened in last."""
        group = next((row.group for row in reversed(self.steps[incident]) if row.kind in OPENING), None)
        return self.groups[group] if group else None

    def _queue(self, incident: int) -> list[Row]:
        return [row for row in self.steps.get(incident, ()) if not row.sent and not row.dropped]

    def _send_one(self) -> bool:
        waiting = map(self._queue, self.steps)
        due = [queue for queue in waiting if queue and queue[0].due_at <= self.now]
        if not due:
            return False
        queue = min(due, key=lambda each: (not any(_urgent(row) for row in each), each[0].created_at))
        rows = queue[: len(whole([row.waiting for row in queue]))]
        batch = _batch(rows)
        match judge(batch, own := self.group_of(rows[0].incident), self._open(batch), self._company(batch, own),
                    self.grouping, self.now):  # fmt: skip
            case Alone():
                self._send(queue[: len(next_batch([row.waiting for row in queue]))], None)
            case NotSent():
                for row in rows:
                    row.dropped = True
            case Waits(group=group, until=until):
                for row in rows:
                    row.group, row.due_at = group.group_id, until
            case Forms():
                self._report(self._form(batch), batch.about)
            case Reports(group=group):
                for row in rows:
                    row.group = group.group_id
                self._report(group, batch.about)
        return True

    def _report(self, group: AlertGroup, topic: About) -> None:
        if topic is About.ALERT:
            for row in self.rows:
                if row.kind in OPENING and row.group is None and not row.sent and row.created_at < group.closes_at:
                    row.group = group.group_id
        members = {row.incident for row in self.rows if row.group == group.group_id}
        rows: list[Row] = []
        for incident in sorted(members):
            queue = self._queue(incident)
            part = queue[: len(whole([row.waiting for row in queue]))]
            own = self.group_of(incident)
            if part and about([row.waiting for row in part]) is topic and own is not None and own == group:
                rows += part
        hurried = topic is About.ALERT and any(hurries(_batch([row]), group) for row in rows)
        self.groups[group.group_id] = replace(
            group,
            critical=group.critical or any(map(_urgent, rows)),
            reported_at=self.now if topic is About.ALERT else group.reported_at,
            hurried_at=self.now if hurried and group.reported_at else group.hurried_at,
            ends_reported_at=self.now if topic is About.END else group.ends_reported_at,
        )
        self._send(rows, group.group_id)

    def _form(self, batch: Batch) -> AlertGroup:
        since = batch.since - self.grouping.window
        number = len(self.groups) + 1
        group = AlertGroup(UUID(int=number), number, since, self.now + self.grouping.window)
        self.groups[group.group_id] = group
        for row in self.rows:
            recent = row.created_at > since and self._is_live(row.incident)
            if row.kind in OPENING and row.group is None and (not row.sent or recent):
                row.group = group.group_id
        return group

    def _send(self, rows: Sequence[Row], group: UUID | None) -> None:
        assert rows, "a message about nothing"
        for row in rows:
            row.sent, row.group = True, row.group or group
        self.sent.append(Sent(self.now, list(rows), group))

    def _open(self, batch: Batch) -> AlertGroup | None:
        return next((each for each in reversed(self.groups.values()) if each.closes_at > batch.since), None)

    def _company(self, batch: Batch, own: AlertGroup | None) -> Company:
        since = batch.since - self.grouping.window
        opened = {row.incident for row in self.rows if row.kind in OPENING and (not row.sent or row.created_at > since)}
        members = {row.incident for row in self.rows if own and self.group_of(row.incident) == own}
        ends = [row.created_at for each in members for row in self._queue(each) if row.kind in CLOSING]
        return Company(len(opened), sum(map(self._is_live, members)), min(ends, default=None))

    def _is_live(self, incident: int) -> bool:
        return self.steps[incident][-1].kind not in CLOSING


def _urgent(row: Row) -> bool:
    return row.critical and row.kind in OPENING | {K.ESCALATED}


def _batch(rows: Sequence[Row]) -> Batch:
    kinds = {row.kind for row in rows if row.waiting.alert}
    return Batch(
        about([row.waiting for row in rows]),
        rows[-1].created_at,
        opens=bool(kinds & OPENING),
        escalated=K.ESCALATED in kinds,
        critical=any(map(_urgent, rows)),
    )
