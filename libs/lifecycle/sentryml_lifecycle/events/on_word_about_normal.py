"""A person's word about what is normal: data alone never make a lasting change normal. Part of `state_machine`.

    accept        The incident closes. Normal time begins at its opening, or later if the person says so, and a new
                  reference is made. Where nothing but slow drift was found, only the reference is replaced.
    was_normal    The incident closes. Its excluded interval counts as normal again.
    undo          For a week, or until drift begins again: normal time is as before, and the incident is open again.

What an act takes out of normal time is set aside until it can no longer be undone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime, SetAside
from sentryml_common.contracts.transition import Cause, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark, Outcome, applied
from sentryml_lifecycle.snapshot import Counts, EvidenceRole, Incident, SlowCounts, Snapshot

UNDO_FOR = timedelta(days=7)


def on_accepted(snapshot: Snapshot, incident: Incident, mark: Mark, since: datetime | None) -> Decision:
    """Close the incident; what has been since `since`, by default since it opened, is the new normal."""
    begins = incident.opened_at if since is None else since
    if not incident.opened_at <= begins <= mark.at:
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    before = snapshot.normal_time
    normal = _next(before, mark.at, since=begins, excluded=(), reference_id=None)
    if since is None and not any(_is_of(each, incident, mark.at) for each in before.excluded):
        normal = _next(before, mark.at, reference_id=None)
    changed = replace(snapshot, slow=SlowCounts())
    decision = _closed(changed, incident, normal, replace(mark, cause=Cause.NEW_NORMAL), latched_until=None)
    return decision.with_evidence(EvidenceRole.ACCEPTED)


def on_was_normal(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """Close the incident, and let its time count as normal. While drift goes on, the model stays quiet for as long as
    after closing, and its time stays normal."""
    before = snapshot.normal_time
    excluded = tuple(each for each in before.excluded if not _is_of(each, incident, mark.at))
    normal = _next(before, mark.at, excluded=excluded)
    latched = mark.at + timedelta(seconds=snapshot.settings.latch_seconds) if incident.live else None
    return _closed(snapshot, incident, normal, replace(mark, cause=Cause.WAS_NORMAL), latched_until=latched)


def on_undone(snapshot: Snapshot, incident: Incident, mark: Mark) -> Decision:
    """Take such a word back."""
    before = snapshot.normal_time
    if not snapshot.settings.enabled:
        # No incident is live where nothing is evaluated.
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    if before.set_aside is None or before.set_aside.until != incident.undo_until or mark.at >= before.set_aside.until:
        return Decision(Outcome.NOT_ALLOWED, snapshot)
    normal = NormalTime(**dict(before.set_aside), revision=before.revision + 1)
    after = replace(incident.reopened_once_more(), closed_at=None, latched_until=None, undo_until=None)
    again = replace(snapshot, normal_time=normal, counts=Counts(), slow=SlowCounts())
    mark = replace(mark, cause=Cause.UNDONE, alert=True)
    return applied(again).recording(TransitionKind.REOPENED, after, mark)


def _closed(
    snapshot: Snapshot, incident: Incident, normal: NormalTime, mark: Mark, latched_until: datetime | None
) -> Decision:
    assert normal.set_aside is not None
    after = replace(incident.closed(mark.at), latched_until=latched_until, undo_until=normal.set_aside.until)
    changed = replace(snapshot, normal_time=normal, counts=Counts())
    return applied(changed).recording(TransitionKind.CLOSED, after, replace(mark, alert=True))


def _next(before: NormalTime, now: datetime, **changed: Any) -> NormalTime:
    """Normal time with what has changed of it; as it was, it is set aside."""
    set_aside = SetAside(**dict(before), until=now + UNDO_FOR)
    return NormalTime(**{**dict(before), **changed, "revision": before.revision + 1, "set_aside": set_aside})


def _is_of(interval: ExcludedInterval, incident: Incident, now: datetime) -> bool:
    """Whether an excluded interval is the incident's: what it was opened for lies in it."""
    over = incident.resolved_at or now
    return interval.start <= over and (interval.end is None or interval.end > incident.opened_at)
