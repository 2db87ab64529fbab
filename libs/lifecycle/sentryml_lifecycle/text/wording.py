"""What people read about an incident: a headline, each step, what happens next. Pure; times are UTC and exact.

Every sentence says only what is so. Above all it never says "recovered" of data that a changed monitor stopped
evaluating, and never lets "acknowledged" sound like "muted".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Cause, Severity, State, Transition, TransitionKind
from sentryml_common.text import UNITS, duration
from sentryml_lifecycle.snapshot import Incident, Snapshot
from sentryml_lifecycle.text.number_format import share

CAUSES = {
    Cause.PSI_ABOVE_WARN: "PSI above the warning threshold",
    Cause.PSI_ABOVE_CRITICAL: "PSI above the critical threshold",
    Cause.SLOW_DRIFT: "slow drift away from the reference",
    Cause.PSI_BELOW_CRITICAL: "PSI stayed below the critical threshold",
    Cause.DATA_RETURNED_TO_NORMAL: "the predictions are distributed as in the baseline again",
    Cause.WORSE_THAN_WHEN_CLOSED: "worse than when the last incident was closed",
    Cause.STILL_DRIFTING_AFTER_LATCH: "still drifting, and the quiet time after closing is over",
    Cause.FOLLOWED_BY_NEW_INCIDENT: "drift came back after the reopen window: a new incident follows",
    Cause.RESOLVED_LONG_AGO: "resolved long enough ago",
    Cause.WARMING_UP: "the baseline is still too short",
    Cause.TOO_FEW_SAMPLES: "too few events",
    Cause.NO_DATA: "no events",
    Cause.NOT_SENT: "nothing of what is watched was sent",
    Cause.DATA_ARE_BACK: "there are enough events again",
    Cause.MONITOR_DISABLED: "the monitor was switched off",
    Cause.MODEL_DELETED: "the model was deleted",
    Cause.THRESHOLDS_CHANGED: "the thresholds were changed",
    Cause.BASELINE_CHANGED: "what is compared was changed",
    Cause.TIMES_CHANGED: "times were changed",
    Cause.CO_ACKNOWLEDGED: "acknowledged by one more",
    Cause.REVIEWED_AFTER: "reviewed after it resolved",
    Cause.NEW_NORMAL: "accepted as the new normal",
    Cause.WAS_NORMAL: "what it was about was normal",
    Cause.UNDONE: "what was said about normal data was taken back",
}

STEPS = {
    TransitionKind.OPENED: "Opened",
    TransitionKind.ESCALATED: "Escalated to critical",
    TransitionKind.DEESCALATED: "De-escalated to warning",
    TransitionKind.ACKNOWLEDGED: "Acknowledged",
    TransitionKind.UNACKNOWLEDGED: "Acknowledgement taken back",
    TransitionKind.NOTED: "Note",
    TransitionKind.RESOLVED: "Resolved",
    TransitionKind.REOPENED: "Reopened",
    TransitionKind.CLOSED: "Closed",
    TransitionKind.EVALUATION_PAUSED: "Evaluation paused",
    TransitionKind.EVALUATION_RESUMED: "Evaluation resumed",
    TransitionKind.MONITOR_CHANGED: "Monitor changed",
}


def headline(snapshot: Snapshot, incident: Incident, now: datetime) -> str:
    """The incident in one sentence."""
    how = _HOW[incident.severity]
    lasted = duration((incident.resolved_at or incident.closed_at or now) - incident.opened_at)
    peak = f"up to a PSI of {incident.peak_psi:.2f}"
    if not incident.live:
        worst = f"{_HOW[incident.worst_severity]} at its worst, {peak}"
        if incident.resolved_at is None:
            return f"{incident.model_id} had drifted for {lasted}, {worst}, when the incident was closed."
        return f"{incident.model_id} drifted for {lasted}, {worst}; the incident is {incident.state}."
    if snapshot.evaluation_paused_since is not None:
        paused = duration(now - snapshot.evaluation_paused_since)
        return (
            f"{incident.model_id} was drifting {how} (PSI {incident.psi:.2f}); for {paused} there has been too little "
            "data to tell whether it still does."
        )
    if snapshot.confirmed_drift is None and snapshot.drifts_slowly:
        since = moment(snapshot.slow.since or incident.opened_at)
        return f"{incident.model_id} has drifted slowly since {since}; PSI {incident.psi:.2f} against its reference."
    if snapshot.counts.ok:
        return f"{incident.model_id} has drifted for {lasted}, {peak}; it was clean at the latest evaluation."
    return f"{incident.model_id} has been drifting {how} for {lasted}; latest PSI {incident.psi:.2f}."


def step_in_words(step: Transition) -> str:
    """One step of the timeline: what, and why."""
    what = STEPS[step.kind]
    if step.kind in (TransitionKind.OPENED, TransitionKind.REOPENED):
        what = f"{what} as {step.to.severity}"
    why = CAUSES.get(step.cause)
    return f"{what}: {why}" if why else what


def what_next(snapshot: Snapshot, incident: Incident, now: datetime) -> tuple[str, ...]:
    """What will happen by itself, and what can be done."""
    if incident.model_deleted_at is not None:
        return (f"Nothing: the model was deleted on {moment(incident.model_deleted_at)}. The incident stays readable.",)
    match incident.state:
        case State.OPEN | State.ACKNOWLEDGED:
            return (*_paused(snapshot), _worse(incident, snapshot.settings), _resolving(snapshot), *_asking(incident))
        case State.RESOLVED:
            return _after_resolving(incident, snapshot.settings, now)
        case State.CLOSED:
            return _after_closing(incident, now)


def moment(at: datetime) -> str:
    """`23 Nov 2026, 09:15:07 UTC`."""
    return f"{at:%-d %b %Y, %H:%M:%S} UTC"


def stamp(at: datetime) -> str:
    """A moment to the microsecond, as it stands in an address: `2026-11-23T09:15:07.000250Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def between(start: datetime, end: datetime) -> tuple[str, str]:
    """Both ends of a span, with what they share said once: `23 Nov 2026, 09:15:00` and `10:15:00 UTC`."""
    return moment(start).removesuffix(" UTC"), clock(end, start)


def clock(at: datetime, now: datetime) -> str:
    """`09:15:07 UTC` if that is today, else with its date."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else moment(at)


def ago(now: datetime, at: datetime) -> str:
    """`3 min ago`, `in 2 h`."""
    length = now - at
    seconds = abs(length.total_seconds())
    unit, name = next(((size, name) for name, size in UNITS if seconds >= size), (1, "s"))
    text = f"{int(seconds // unit)} {name}"
    return f"{text} ago" if length >= timedelta(0) else f"in {text}"


_HOW = {Severity.WARN: "noticeably", Severity.CRITICAL: "critically"}


def _paused(snapshot: Snapshot) -> tuple[str, ...]:
    if snapshot.evaluation_paused_since is None:
        return ()
    return (
        f"Evaluation paused since {moment(snapshot.evaluation_paused_since)}: not enough data. The incident does not "
        "change until there is more.",
    )


def _worse(incident: Incident, settings: MonitorSettings) -> str:
    if incident.severity is Severity.WARN:
        return f"If it gets critical (PSI from {settings.critical:g}), it alerts again, acknowledged or not."
    return "It is as severe as it can be; when it de-escalates to warning, that goes on the timeline without an alert."


def _resolving(snapshot: Snapshot) -> str:
    settings, counts = snapshot.settings, snapshot.counts
    if snapshot.drifts_slowly:
        return (
            "It resolves by itself once the data of both windows are like the reference again. If they will stay as "
            "they are, accept them as the new normal: they become the new reference."
        )
    wanted = settings.confirm_resolve
    clean = f"{wanted} clean evaluations in a row" if wanted > 1 else "one clean evaluation"
    dwell = duration(timedelta(seconds=settings.resolve_dwell_seconds))
    so_far = (
        f"{counts.ok} so far, over {duration(timedelta(seconds=counts.ok_seconds))}" if counts.ok else "none so far"
    )
    return (
        f"It resolves by itself after {clean} (PSI below "
        f"{share(settings.resolve_below)} of the warning threshold) over at least {dwell}: {so_far}{_to_go(snapshot)}."
    )


def _to_go(snapshot: Snapshot) -> str:
    """What is still wanting, once there is something: clean evaluations, or time."""
    settings, counts = snapshot.settings, snapshot.counts
    if not counts.ok:
        return ""
    if (more := settings.confirm_resolve - counts.ok) > 0:
        return f"; {more} more to go"
    if (seconds := settings.resolve_dwell_seconds - counts.ok_seconds) > 0:
        return f"; another {duration(timedelta(seconds=seconds))} to go"
    return ""


def _asking(incident: Incident) -> tuple[str, ...]:
    if incident.state is State.OPEN:
        return ("Acknowledging says that you have seen it. It does not mute alerts.",)
    names = ", ".join(actor.name for actor in incident.acknowledged_by)
    return (f"Acknowledged by {names}. That does not mute alerts.",)


def _after_resolving(incident: Incident, settings: MonitorSettings, now: datetime) -> tuple[str, ...]:
    resolved_at = incident.resolved_at or now
    reopens = resolved_at + timedelta(seconds=settings.reopen_window_seconds)
    closes = resolved_at + timedelta(seconds=settings.close_after_seconds)
    again = (
        f"If drift comes back before {moment(reopens)}, this incident reopens; later, a new one is opened."
        if now <= reopens
        else "If drift comes back, a new incident is opened and linked to this one."
    )
    return (again, f"It closes by itself on {moment(closes)}.")


def _after_closing(incident: Incident, now: datetime) -> tuple[str, ...]:
    return (*_closed_for_now(incident, now), *_undoing(incident, now))


def _undoing(incident: Incident, now: datetime) -> tuple[str, ...]:
    if incident.undo_until is None or now >= incident.undo_until:
        return ()
    return (f"That can be undone until {moment(incident.undo_until)}, or until another incident opens.",)


def _closed_for_now(incident: Incident, now: datetime) -> tuple[str, ...]:
    if not incident.latched(now) or incident.latched_until is None:
        return ("If the model drifts again, a new incident is opened and linked to this one.",)
    worse = "when it gets critical, " if incident.severity is Severity.WARN else ""
    return (
        f"Closed while it still drifted. A new incident is opened {worse}when it drifts again after having "
        f"recovered, or if it still drifts after {moment(incident.latched_until)}.",
    )
