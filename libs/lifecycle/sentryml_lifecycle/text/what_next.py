"""What comes next for an incident: what happens automatically, and what can be done. Pure; times are UTC and exact, so
that a sentence stays true however late it is read."""

from __future__ import annotations

from datetime import datetime, timedelta

from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import Severity, State
from sentryml_common.text import cut, duration
from sentryml_lifecycle.snapshot import Incident, Snapshot
from sentryml_lifecycle.text.number_format import share
from sentryml_lifecycle.text.wording import moment

LONGEST_NAME = 80


def what_next(snapshot: Snapshot, incident: Incident, now: datetime) -> tuple[str, ...]:
    """What comes next, and how far a live incident is on its way to resolving."""
    return (*what_comes(snapshot, incident, now), *_progress(snapshot, incident))


def what_comes(snapshot: Snapshot, incident: Incident, now: datetime) -> tuple[str, ...]:
    """What comes next, as far as it holds until the next step."""
    if incident.model_deleted_at is not None:
        return (f"Nothing: the model was deleted on {moment(incident.model_deleted_at)}. The incident stays readable.",)
    match incident.state:
        case State.OPEN | State.ACKNOWLEDGED:
            return (
                *_paused(snapshot),
                _resolving(snapshot, incident),
                _worsening(snapshot, incident),
                _acknowledging(incident),
            )
        case State.RESOLVED:
            return (*_switched_off(snapshot), *_after_resolving(incident, snapshot.settings, now))
        case State.CLOSED:
            after = _switched_off(snapshot) or (_after_closing(incident, now),)
            return (*after, *_undoing(incident, now))


def _paused(snapshot: Snapshot) -> tuple[str, ...]:
    if snapshot.evaluation_paused_since is None:
        return ()
    return (
        f"Evaluation paused since {moment(snapshot.evaluation_paused_since)}: not enough data. The incident does not "
        "change until there is enough.",
    )


def _resolving(snapshot: Snapshot, incident: Incident) -> str:
    settings = snapshot.settings
    if incident.no_predictions:
        return (
            "It resolves by itself when predictions come again. If none will, switch the monitor off or delete the "
            "model."
        )
    if snapshot.silence.since is not None:
        return "It does not resolve before predictions come again, and are like the baseline."
    if snapshot.drifts_slowly:
        like = "the reference" if snapshot.is_slow(incident.severity) else "the baseline and the reference"
        return (
            f"It resolves by itself once data are like {like} again. If they will stay as they are, accept them "
            "as the new normal: they become the new reference."
        )
    requested = settings.confirm_resolve
    clean = f"{requested} clean evaluations in a row" if requested > 1 else "one clean evaluation"
    dwell = timedelta(seconds=settings.resolve_dwell_seconds)
    # Below a second, as in the demo, where a day is a second, the evaluations themselves take longer.
    over = f" over at least {duration(dwell)}" if dwell >= timedelta(seconds=1) else ""
    return (
        f"It resolves by itself after {clean} (PSI below {share(settings.resolve_below)} of the warning threshold)"
        f"{over}."
    )


def _progress(snapshot: Snapshot, incident: Incident) -> tuple[str, ...]:
    """How many clean evaluations there are, and what is still missing: evaluations, or time. They are against the
    baseline: slow drift outlasts them."""
    settings, counts = snapshot.settings, snapshot.counts
    if not incident.live or not counts.ok or snapshot.drifts_slowly or snapshot.silence.since is not None:
        return ()
    more, seconds = settings.confirm_resolve - counts.ok, settings.resolve_dwell_seconds - counts.ok_seconds
    missing = ""
    if more > 0:
        missing = f"; {more} more to go"
    elif seconds > 0:
        missing = f"; another {duration(timedelta(seconds=seconds))} to go"
    clean = "1 clean evaluation" if counts.ok == 1 else f"{counts.ok} clean evaluations"
    return (f"So far: {clean} in a row, over {duration(timedelta(seconds=counts.ok_seconds))}{missing}.",)


def _worsening(snapshot: Snapshot, incident: Incident) -> str:
    critical = "becomes critical, " if incident.severity is Severity.WARN else ""
    segment = " or segment" if snapshot.settings.evaluate_segments else ""
    return f"If it {critical}reaches another signal{segment} or doubles its PSI, it alerts again, acknowledged or not."


def _acknowledging(incident: Incident) -> str:
    if incident.state is State.OPEN:
        return "Acknowledging says that you have seen it. It does not mute alerts."
    names = cut(", ".join(actor.name for actor in incident.acknowledged_by), LONGEST_NAME)
    return f"Acknowledged by {names}. That does not mute alerts."


def _switched_off(snapshot: Snapshot) -> tuple[str, ...]:
    if snapshot.settings.enabled:
        return ()
    return ("The monitor is off: nothing is evaluated until it is switched on again.",)


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


def _after_closing(incident: Incident, now: datetime) -> str:
    if not incident.latched(now) or incident.latched_until is None:
        return "If the model drifts again, a new incident is opened and linked to this one."
    worse = "when it gets critical, " if incident.severity is Severity.WARN else ""
    return (
        f"A new incident is opened {worse}when the model drifts again after a clean evaluation, or if it still drifts "
        f"after {moment(incident.latched_until)}."
    )


def _undoing(incident: Incident, now: datetime) -> tuple[str, ...]:
    if incident.undo_until is None or now >= incident.undo_until:
        return ()
    return (f"This closing can be undone until {moment(incident.undo_until)}, or until another incident opens.",)
