"""A step of an incident in words, made when it is decided: the one text that pages, API and messages show.

Every sentence says only what is so. Above all it never says that data returned to normal where a changed monitor ended
the incident, and never lets "acknowledged" sound like "muted".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sentryml_common.contracts.transition import Actor, Cause, Severity, State, TransitionKind, TransitionText
from sentryml_common.text import capital, cut, duration
from sentryml_lifecycle.silence import Silence
from sentryml_lifecycle.snapshot import Incident, Snapshot
from sentryml_lifecycle.text.number_format import psi_against, psi_rise, signal_name, slow_psi_against
from sentryml_lifecycle.text.what_next import LONGEST_NAME, what_comes
from sentryml_lifecycle.text.wording import in_segments, no_predictions
from sentryml_lifecycle.worsening import Comparison, Finding, Worse, drifting_segments

STEPS = {
    TransitionKind.OPENED: "Opened",
    TransitionKind.ESCALATED: "Escalated to critical",
    TransitionKind.WORSENED: "Worsened",
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
"""Kinds of steps by their names."""

DRIFT = {Severity.WARN: "Warning: drift", Severity.CRITICAL: "CRITICAL drift"}
"""What the title of an alert begins with."""
SLOW_DRIFT = "Warning: slow drift"
LONGEST_IN_TITLE = 24
"""The name of a segment in a title: the model comes after it, and channels cut long titles."""
SILENT = {Severity.WARN: "Warning: no predictions", Severity.CRITICAL: "CRITICAL drift, and no predictions"}

CHANGED = {
    Cause.THRESHOLDS_CHANGED: "the thresholds of the monitor",
    Cause.BASELINE_CHANGED: "what the monitor compares",
    Cause.TIMES_CHANGED: "the times of the monitor",
    Cause.REFERENCE_CHANGED: "the reference",
}


WORSE_BY = {
    Cause.ANOTHER_SIGNAL: "another signal",
    Cause.SUDDEN_DRIFT_TOO: "sudden drift too",
    Cause.SLOW_DRIFT: "slow drift too",
    Cause.PSI_DOUBLED: "PSI doubled",
    Cause.NO_PREDICTIONS: "no predictions",
}

AGAINST = {
    Comparison.BASELINE: "",
    Comparison.SEASON: " against its season",
    Comparison.REFERENCE: " against the reference",
}


def text_of(
    kind: TransitionKind,
    cause: Cause,
    actor: Actor,
    at: datetime,
    before: Incident | None,
    snapshot: Snapshot,
    worse: Sequence[Worse] = (),
) -> TransitionText:
    """The text of a step that leads from `before` to the incident of `snapshot`; `before` may be another incident, or
    None, where this one is opened. `worse` is what it worsened by, the gravest first."""
    after = snapshot.incident
    assert after is not None
    notified = snapshot.notified.findings
    step = _Step(cause, cut(actor.name, LONGEST_NAME), at, before, after, notified, worse, snapshot.silence)
    name = _name(kind, step)
    return TransitionText(
        title=f"{_silent_title(kind, step) or _title(kind, step, name)} · {after.model_id}",
        headline=HEADLINES[kind](step),
        step="Predictions are back" if kind is TransitionKind.EVALUATION_RESUMED and _are_back(step) else name,
        next=_next(cause, at, after, snapshot),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What a sentence is made from; `who` has done it, and people were `notified` of these findings. `where` says in
    which segments, where the model as a whole did not drift; else it is empty."""

    cause: Cause
    who: str
    at: datetime
    before: Incident | None
    after: Incident
    notified: Sequence[Finding]
    worse: Sequence[Worse]
    silence: Silence

    @property
    def where(self) -> str:
        return in_segments(self.segments)

    @property
    def segments(self) -> tuple[str, ...]:
        return drifting_segments(self.notified)


def _name(kind: TransitionKind, step: _Step) -> str:
    if kind in (TransitionKind.OPENED, TransitionKind.REOPENED):
        return f"{STEPS[kind]} as {SEVERITY[step.after.severity]}"
    if kind is TransitionKind.WORSENED:
        return f"{STEPS[kind]}: {WORSE_BY[step.cause]}"
    if kind is TransitionKind.RESOLVED and step.cause in CHANGED:
        return f"Resolved by a {_changed(step)} change"
    if kind is TransitionKind.MONITOR_CHANGED:
        return f"{_changed(step).capitalize()} changed"
    if kind is TransitionKind.CLOSED and step.cause in CLOSED_AS:
        return f"Closed: {CLOSED_AS[step.cause]}"
    return STEPS[kind]


def _changed(step: _Step) -> str:
    return "reference" if step.cause is Cause.REFERENCE_CHANGED else "monitor"


def _silent_title(kind: TransitionKind, step: _Step) -> str:
    """That of an alert of silence; empty for others."""
    if step.cause is not Cause.NO_PREDICTIONS:
        return ""
    return SILENT[step.after.severity] + (" again" if kind is TransitionKind.REOPENED else "")


def _title(kind: TransitionKind, step: _Step, name: str) -> str:
    """What happened, in a few words: alerts begin with their severity."""
    slow = step.cause is Cause.SLOW_DRIFT or any(each.finding.slow for each in step.worse[:1])
    drift = DRIFT[step.after.severity] + in_segments(step.segments, LONGEST_IN_TITLE)
    if slow and step.after.severity is Severity.WARN:
        drift = SLOW_DRIFT
    match kind:
        case TransitionKind.OPENED:
            return drift
        case TransitionKind.ESCALATED:
            return f"{drift}, escalated"
        case TransitionKind.WORSENED:
            return f"{drift}, worse"
        case TransitionKind.REOPENED:
            return f"{drift}, reopened" if step.cause is Cause.UNDONE else f"{drift} is back"
        case TransitionKind.EVALUATION_PAUSED:
            return f"{name}: not enough data"
        case _:
            return name


def _next(cause: Cause, at: datetime, after: Incident, snapshot: Snapshot) -> tuple[str, ...]:
    if cause is Cause.FOLLOWED_BY_NEW_INCIDENT:
        return ("Nothing more comes from this incident; a new one follows it.",)
    if cause is Cause.MODEL_DELETED:
        after = replace(after, model_deleted_at=at)
    return what_comes(snapshot, after, at)


SEVERITY = {Severity.WARN: "warning", Severity.CRITICAL: "critical"}

CLOSED_AS = {
    Cause.NEW_NORMAL: "new normal",
    Cause.WAS_NORMAL: "was normal",
    Cause.MONITOR_DISABLED: "monitor switched off",
    Cause.MODEL_DELETED: "model deleted",
}

PAUSED_BECAUSE = {
    Cause.WARMING_UP: "the baseline is still too short",
    Cause.TOO_FEW_SAMPLES: "too few events came",
    Cause.NO_DATA: "no events came",
    Cause.NOT_SENT: "none of the watched signals was sent",
}


def _above(step: _Step) -> str:
    return f"PSI is above the {SEVERITY[step.after.severity]} threshold"


def _silent(step: _Step) -> str:
    return f"{no_predictions(step.after.model_id, step.silence, step.at)}{_unseen(step)}"


def _opened(step: _Step) -> str:
    model = step.after.model_id
    if step.cause is Cause.NO_PREDICTIONS:
        return _silent(step)
    if step.cause is Cause.STILL_DRIFTING_AFTER_LATCH:
        over = "the quiet time after its last incident was closed is over"
        return f"{model} still drifts{step.where}, and {over}: {_above(step)}."
    if step.cause is Cause.SLOW_DRIFT:
        return (
            f"The predictions of {model} have drifted away from the reference, so slowly that no window differs much "
            "from its baseline."
        )
    worse = " It is worse than when the last incident was closed." if step.cause is Cause.WORSE_THAN_WHEN_CLOSED else ""
    whole = " The model as a whole does not drift." if step.where else ""
    return f"The predictions of {model}{step.where} no longer look like the baseline: {_above(step)}.{whole}{worse}"


def _escalated(step: _Step) -> str:
    went = f"The drift of {step.after.model_id}{step.where} got worse: {_above(step)}."
    names = _had_acknowledged(step)
    return f"{went} {names} had acknowledged the warning; nobody has acknowledged it as critical." if names else went


def _had_acknowledged(step: _Step) -> str:
    """The names of those who had acknowledged the incident; empty if nobody had."""
    if step.before is None or step.before.state is not State.ACKNOWLEDGED:
        return ""
    return cut(", ".join(actor.name for actor in step.before.acknowledged_by), LONGEST_NAME)


def _worsened(step: _Step) -> str:
    if step.cause is Cause.NO_PREDICTIONS:
        return _silent(step)
    first, *others = (_worse_by(each) for each in step.worse)
    return f"{step.after.model_id}: {'. '.join([first, *map(capital, others)])}.{_unseen(step)}"


def _unseen(step: _Step) -> str:
    """That an acknowledgement is not about this; empty if there was none."""
    names = _had_acknowledged(step)
    return f" {names} had acknowledged the incident; nobody has acknowledged this." if names else ""


def _worse_by(worse: Worse) -> str:
    found, before = worse.finding, worse.before
    signal = signal_name(found.signal, found.segment)
    if worse.cause is Cause.PSI_DOUBLED:
        was, psi = psi_rise(before.psi if before else 0.0, found.psi)
        return f"PSI of {signal}{AGAINST[found.comparison]} doubled: {psi}, it was {was} when you were last notified"
    if found.critical_at is None:
        return f"{signal} drifts slowly too: {slow_psi_against(found.psi, found.warn_at)}"
    drifts = "is critical" if before else "drifts suddenly" if worse.cause is Cause.SUDDEN_DRIFT_TOO else "drifts"
    return f"{signal} {drifts} too: {psi_against(found.psi, found.warn_at, found.critical_at)}"


def _acknowledged(step: _Step) -> str:
    if step.cause is Cause.REVIEWED_AFTER:
        return f"{step.who} reviewed the incident after it had resolved."
    too = " too" if step.cause is Cause.CO_ACKNOWLEDGED else ""
    return f"{step.who} acknowledged the incident{too}; alerts are not muted."


def _resolved(step: _Step) -> str:
    if _are_back(step):
        return _back(step)
    if step.cause is Cause.TOO_FEW_SAMPLES:
        drift = f"The drift of {step.after.model_id}{step.where}"
        return f"{drift} is no longer evaluated: too few predictions come from there. Nothing else drifts."
    if step.cause not in CHANGED:
        slow = {each.slow for each in step.notified} or {False}
        like = " and ".join(name for kind, name in ((False, "the baseline"), (True, "the reference")) if kind in slow)
        return f"The predictions of {step.after.model_id}{step.where} look like {like} again."
    return (
        f"The incident ended after a change of {CHANGED[step.cause]}. "
        "This does not mean that the data returned to normal."
    )


def _are_back(step: _Step) -> bool:
    return step.cause is Cause.PREDICTIONS_ARE_BACK


def _back(step: _Step) -> str:
    return f"Predictions come from {step.after.model_id} again."


def _resumed(step: _Step) -> str:
    if _are_back(step):
        return _back(step)
    return f"{step.after.model_id} is evaluated again: there is enough data."


def _reopened(step: _Step) -> str:
    if step.cause is Cause.NO_PREDICTIONS:
        return _silent(step)
    if step.cause is Cause.UNDONE:
        return f"{step.who} took back that the drift was normal: the incident is open again."
    if step.cause is Cause.SLOW_DRIFT:
        return f"{step.after.model_id} drifts away from the reference again: PSI is above the warning threshold."
    return f"The drift of {step.after.model_id}{step.where} is back: {_above(step)}."


CLOSED_BY = {
    Cause.MONITOR_DISABLED: "switched the monitor off: the model is no longer watched",
    Cause.MODEL_DELETED: "deleted the model",
    Cause.NEW_NORMAL: "accepted the change as the new normal: from now on, data are compared with it",
    Cause.WAS_NORMAL: "said that this was normal: the time of the incident counts as normal again",
}


def _closed(step: _Step) -> str:
    if step.cause in CLOSED_BY:
        return f"{step.who} {CLOSED_BY[step.cause]}."
    if step.cause is Cause.FOLLOWED_BY_NEW_INCIDENT:
        return "Drift came back after the reopen window." if step.silence.since is None else _silent(step)
    if step.cause is Cause.RESOLVED_LONG_AGO:
        resolved_at = step.after.resolved_at or step.at
        return f"The incident closed by itself, {duration(step.at - resolved_at)} after it had resolved."
    drifting = " before the data had returned to normal" if step.after.latched_until else ""
    return f"{step.who} closed the incident{drifting}."


HEADLINES: Mapping[TransitionKind, Callable[[_Step], str]] = {
    TransitionKind.OPENED: _opened,
    TransitionKind.ESCALATED: _escalated,
    TransitionKind.WORSENED: _worsened,
    TransitionKind.DEESCALATED: lambda step: (
        "PSI stayed below the critical threshold: the incident goes on as a warning."
    ),
    TransitionKind.ACKNOWLEDGED: _acknowledged,
    TransitionKind.UNACKNOWLEDGED: lambda step: (
        f"{step.who} took the acknowledgement back: the incident is open, and nobody has acknowledged it."
    ),
    TransitionKind.NOTED: lambda step: f"{step.who} added a note.",
    TransitionKind.RESOLVED: _resolved,
    TransitionKind.REOPENED: _reopened,
    TransitionKind.CLOSED: _closed,
    TransitionKind.EVALUATION_PAUSED: lambda step: f"Evaluation paused: {PAUSED_BECAUSE[step.cause]}.",
    TransitionKind.EVALUATION_RESUMED: _resumed,
    TransitionKind.MONITOR_CHANGED: lambda step: f"{step.who} changed {CHANGED[step.cause]}; the incident goes on.",
}
