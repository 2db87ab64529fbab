"""What an evaluation does: open, escalate, worsen, de-escalate, resolve, reopen, or count. Part of `state_machine`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.transition import Cause, Severity, State, TransitionKind
from sentryml_lifecycle.decision import Decision, Outcome, applied, mark_of
from sentryml_lifecycle.events.on_silence import reopened_by_silence, silence_mark, with_silence
from sentryml_lifecycle.grades import Grade, grade_of, is_below_critical, psi_of
from sentryml_lifecycle.normal_time import with_normal_time
from sentryml_lifecycle.slow_drift import compared, with_new_reference, with_slow_drift
from sentryml_lifecycle.snapshot import EvidenceRole, Incident, Snapshot, incident_id_of
from sentryml_lifecycle.worsening import Finding, Notified, Worse, findings_of

ABOVE = {Severity.WARN: Cause.PSI_ABOVE_WARN, Severity.CRITICAL: Cause.PSI_ABOVE_CRITICAL}


def on_evaluation(snapshot: Snapshot, evaluation: Evaluation) -> Decision:
    """Take one evaluation into account, or say why not."""
    if (why_not := _set_aside(snapshot, evaluation)) is not None:
        return Decision(why_not, snapshot)
    return with_silence(_on_psi(snapshot, evaluation), evaluation, _open_silent)


def _on_psi(snapshot: Snapshot, evaluation: Evaluation) -> Decision:
    grade = grade_of(evaluation, snapshot.settings)
    if grade is Grade.INSUFFICIENT:
        return _paused(snapshot, evaluation)
    incident = snapshot.incident
    seen = with_normal_time(_count(snapshot, evaluation, grade), evaluation)
    seen = with_new_reference(with_slow_drift(seen, evaluation), evaluation)
    if incident is None or incident.state is State.CLOSED:
        return _while_quiet(seen, evaluation, grade)
    if incident.state is State.RESOLVED:
        return _while_resolved(seen, evaluation, incident)
    return _while_live(_resumed(snapshot, seen, evaluation, incident), evaluation)


def _set_aside(snapshot: Snapshot, evaluation: Evaluation) -> Outcome | None:
    """Why an evaluation decides nothing: of before the model was deleted, seen before, out of order, of a monitor that
    is no longer in force, or against a baseline of what is no longer normal time."""
    if evaluation.monitor_version < snapshot.first_version:
        return Outcome.MODEL_DELETED
    if evaluation.evaluation_id == snapshot.last_evaluation_id:
        return Outcome.REPEATED
    if snapshot.last_evaluated_at is not None and evaluation.evaluated_at <= snapshot.last_evaluated_at:
        return Outcome.OLDER
    if not snapshot.settings.enabled:
        return Outcome.MONITOR_DISABLED
    compared_with = evaluation.monitor_version, evaluation.normal_time_revision
    in_force = snapshot.monitor_version, snapshot.normal_time.revision
    outdated = any(used < known for used, known in zip(compared_with, in_force, strict=True))
    return Outcome.SUPERSEDED if outdated else None


def _count(snapshot: Snapshot, evaluation: Evaluation, grade: Grade) -> Snapshot:
    """The snapshot after an evaluation that could see, before any step."""
    seconds = 0.0
    if snapshot.last_evaluated_at is not None and snapshot.evaluation_paused_since is None:
        seconds = (evaluation.evaluated_at - snapshot.last_evaluated_at).total_seconds()
    below = is_below_critical(evaluation, snapshot.settings)
    return replace(
        snapshot,
        last_evaluation_id=evaluation.evaluation_id,
        last_evaluated_at=evaluation.evaluated_at,
        counts=snapshot.counts.counting(grade, below, seconds, evaluation.current.start),
        last_grade=grade,
        evaluation_paused_since=None,
    )


def _paused(snapshot: Snapshot, evaluation: Evaluation) -> Decision:
    """Too little data changes nothing; a live incident says since when, once."""
    frozen = replace(
        snapshot,
        last_evaluation_id=evaluation.evaluation_id,
        last_evaluated_at=evaluation.evaluated_at,
        evaluation_paused_since=snapshot.evaluation_paused_since or evaluation.evaluated_at,
    )
    incident = snapshot.incident
    if incident is None or not incident.live or snapshot.evaluation_paused_since is not None:
        return applied(frozen)
    cause = Cause(evaluation.reason.value) if evaluation.reason else Cause.TOO_FEW_SAMPLES
    return applied(frozen).recording(TransitionKind.EVALUATION_PAUSED, incident, mark_of(evaluation, cause))


def _resumed(before: Snapshot, seen: Snapshot, evaluation: Evaluation, incident: Incident) -> Decision:
    if before.evaluation_paused_since is None:
        return applied(seen)
    return applied(seen).recording(
        TransitionKind.EVALUATION_RESUMED, incident, mark_of(evaluation, Cause.DATA_ARE_BACK)
    )


def _while_quiet(seen: Snapshot, evaluation: Evaluation, grade: Grade) -> Decision:
    """Nothing is live: open when confirmed, unless the last incident was closed by hand and still keeps quiet."""
    last, severity, now = seen.incident, seen.confirmed_severity, evaluation.evaluated_at
    if last is None or last.latched_until is None:
        return applied(seen) if severity is None else _open(seen, evaluation, severity, _cause(seen, severity))
    if grade is Grade.OK and not seen.drifts_slowly:
        return applied(replace(seen, incident=replace(last, latched_until=None)))
    if severity is None:
        return applied(seen)
    if not last.latched(now):
        return _open(seen, evaluation, severity, Cause.STILL_DRIFTING_AFTER_LATCH)
    if severity is Severity.CRITICAL and last.severity is Severity.WARN:
        return _open(seen, evaluation, severity, Cause.WORSE_THAN_WHEN_CLOSED)
    return applied(seen)


def _open(seen: Snapshot, evaluation: Evaluation, severity: Severity, cause: Cause) -> Decision:
    now, last = evaluation.evaluated_at, seen.incident
    psi = _headline_psi(seen, evaluation, severity)
    incident = Incident(
        incident_id=incident_id_of(seen.model_id, evaluation.evaluation_id),
        model_id=seen.model_id,
        state=State.OPEN,
        severity=severity,
        opened_at=now,
        psi=psi,
        peak_psi=psi,
        peak_at=now,
        previous_incident_id=last.incident_id if last else None,
    )
    followed = replace(last, latched_until=None) if last and last.latched_until else None
    if cause is Cause.NO_PREDICTIONS:
        incident = replace(incident, no_predictions=True)
        seen, mark = replace(seen, notified=Notified()), silence_mark(evaluation, cause, alert=True)
    else:
        seen = _newly_notified(seen, evaluation)
        mark = mark_of(evaluation, cause, alert=True, slow=seen.is_slow(severity))
    decision = replace(applied(seen), followed=followed)
    opened = decision.recording(TransitionKind.OPENED, incident, mark)
    return opened.with_evidence(EvidenceRole.OPENED, EvidenceRole.PEAK)


def _while_resolved(seen: Snapshot, evaluation: Evaluation, incident: Incident) -> Decision:
    """Drift that comes back soon reopens the incident; later, it is a new one."""
    severity = seen.confirmed_severity
    if severity is None:
        return applied(seen)
    if _within_reopen_window(seen, incident, evaluation.evaluated_at):
        return _reopen(seen, evaluation, incident, severity)
    return _follow(applied(seen), evaluation, incident, severity, _cause(seen, severity))


def _follow(
    decision: Decision, evaluation: Evaluation, incident: Incident, severity: Severity, cause: Cause
) -> Decision:
    """Close a resolved incident, and open a new one that is linked to it."""
    mark = mark_of(evaluation, Cause.FOLLOWED_BY_NEW_INCIDENT)
    ended = decision.recording(TransitionKind.CLOSED, incident.closed(mark.at), mark)
    opened = _open(ended.snapshot, evaluation, severity, cause)
    return replace(opened, transitions=(*ended.transitions, *opened.transitions), followed=ended.snapshot.incident)


def _open_silent(decision: Decision, evaluation: Evaluation) -> Decision:
    """Open or reopen an incident of a model that has become silent."""
    seen, last = decision.snapshot, decision.snapshot.incident
    if last is None or last.state is State.CLOSED:
        return _open(seen, evaluation, Severity.WARN, Cause.NO_PREDICTIONS)
    if _within_reopen_window(seen, last, evaluation.evaluated_at):
        return reopened_by_silence(decision, evaluation, last)
    return _follow(decision, evaluation, last, Severity.WARN, Cause.NO_PREDICTIONS)


def _within_reopen_window(seen: Snapshot, incident: Incident, now: datetime) -> bool:
    window = timedelta(seconds=seen.settings.reopen_window_seconds)
    return incident.resolved_at is not None and now - incident.resolved_at <= window


def _reopen(seen: Snapshot, evaluation: Evaluation, incident: Incident, severity: Severity) -> Decision:
    measured, roles = _with_psi(seen, incident, severity, evaluation)
    after = replace(measured.reopened_once_more(), severity=severity, no_predictions=False)
    mark = mark_of(evaluation, _cause(seen, severity), alert=True, slow=seen.is_slow(severity))
    decision = applied(_newly_notified(seen, evaluation))
    return decision.recording(TransitionKind.REOPENED, after, mark).with_evidence(EvidenceRole.REOPENED, *roles)


def _while_live(decision: Decision, evaluation: Evaluation) -> Decision:
    """The incident is open or acknowledged: it escalates or resolves; or it de-escalates or worsens, or both."""
    seen, incident = decision.snapshot, decision.snapshot.incident
    assert incident is not None
    severity = _severity(seen, incident)
    measured, roles = _with_psi(seen, incident, severity, evaluation)
    findings = _findings(seen, evaluation)
    notified = seen.notified.counting(findings, slowly=compared(seen, evaluation) is not None)
    decision = replace(decision, snapshot=replace(seen, incident=measured, notified=notified)).with_evidence(*roles)
    if severity is Severity.CRITICAL and incident.severity is Severity.WARN:
        return _escalate(decision, evaluation, measured)
    if seen.confirms_clean and not seen.drifts_slowly and seen.silence.since is None:
        return _resolve(decision, evaluation, measured)
    if severity is not incident.severity:
        decision = _deescalate(decision, evaluation, measured)
    worse = notified.confirmed(findings, seen.settings.confirm_critical)
    return _worsen(decision, evaluation, worse) if worse else decision


def _severity(seen: Snapshot, incident: Incident) -> Severity:
    """The severity of a live incident after evaluations in a row at critical, or below it."""
    if seen.counts.critical >= seen.settings.confirm_critical:
        return Severity.CRITICAL
    return Severity.WARN if seen.counts.below_critical >= seen.settings.confirm_deescalate else incident.severity


def _findings(seen: Snapshot, evaluation: Evaluation) -> tuple[Finding, ...]:
    return findings_of(evaluation, compared(seen, evaluation) if seen.drifts_slowly else None)


def _newly_notified(seen: Snapshot, evaluation: Evaluation) -> Snapshot:
    """After the alert that opens or reopens. Where slow drift is so far known from an earlier comparison, as after
    quiet time, what was notified of it then stands."""
    findings = _findings(seen, evaluation)
    before = Notified() if findings else Notified(findings=seen.notified.findings)
    return replace(seen, notified=before.covering(findings))


def _covered(decision: Decision, evaluation: Evaluation) -> Decision:
    """Before an alert of a live incident."""
    seen = decision.snapshot
    notified = seen.notified.covering(_findings(seen, evaluation))
    return replace(decision, snapshot=replace(seen, notified=notified))


def _cause(seen: Snapshot, severity: Severity) -> Cause:
    """What a severity was reached by: the baseline's comparison, or the reference's alone."""
    return Cause.SLOW_DRIFT if seen.is_slow(severity) else ABOVE[severity]


def _headline_psi(seen: Snapshot, evaluation: Evaluation, severity: Severity) -> float:
    """The PSI of the comparison that gives the severity; the reference's is the last one between its comparisons."""
    return seen.slow.psi if seen.is_slow(severity) else psi_of(evaluation) or 0.0


def _with_psi(
    seen: Snapshot, incident: Incident, severity: Severity, evaluation: Evaluation
) -> tuple[Incident, tuple[EvidenceRole, ...]]:
    """The incident with the newest PSI and peak; drift under the monitor in force outlives its last change."""
    psi = _headline_psi(seen, evaluation, severity)
    drifts = seen.last_grade in (Grade.WARN, Grade.CRITICAL) or seen.drifts_slowly
    measured = replace(incident, psi=psi, monitor_change=None if drifts else incident.monitor_change)
    if psi <= incident.peak_psi:
        return measured, ()
    return replace(measured, peak_psi=psi, peak_at=evaluation.evaluated_at), (EvidenceRole.PEAK,)


def _escalate(decision: Decision, evaluation: Evaluation, incident: Incident) -> Decision:
    """Worse than anyone has seen: an acknowledged incident goes back to open."""
    after = replace(incident.unseen(), severity=Severity.CRITICAL, no_predictions=False)
    mark = mark_of(evaluation, Cause.PSI_ABOVE_CRITICAL, alert=True)
    escalated = _covered(decision, evaluation).recording(TransitionKind.ESCALATED, after, mark)
    return escalated.with_evidence(EvidenceRole.ESCALATED)


def _worsen(decision: Decision, evaluation: Evaluation, worse: tuple[Worse, ...]) -> Decision:
    """Worse within its severity: nobody has seen *this* either. What is worse comes first among the reasons."""
    incident, gravest = decision.snapshot.incident, worse[0]
    assert incident is not None
    after = replace(incident.unseen(), no_predictions=False)
    mark = mark_of(evaluation, gravest.cause, alert=True, slow=gravest.finding.slow)
    first = gravest.finding.signal, gravest.finding.segment
    why = tuple(sorted(mark.why, key=lambda each: (each.signal, each.segment) != first))
    worsened = _covered(decision, evaluation).recording(
        TransitionKind.WORSENED, after, replace(mark, why=why, worse=worse)
    )
    return worsened.with_evidence(EvidenceRole.WORSENED)


def _deescalate(decision: Decision, evaluation: Evaluation, incident: Incident) -> Decision:
    mark = mark_of(evaluation, Cause.PSI_BELOW_CRITICAL)
    after = replace(incident, severity=Severity.WARN)
    return decision.recording(TransitionKind.DEESCALATED, after, mark).with_evidence(EvidenceRole.DEESCALATED)


def _resolve(decision: Decision, evaluation: Evaluation, incident: Incident) -> Decision:
    seen = decision.snapshot.notified
    recovered = Cause.TOO_FEW_SAMPLES if seen.is_out_of_sight(evaluation) else Cause.DATA_RETURNED_TO_NORMAL
    cause = incident.monitor_change or recovered
    after = replace(incident.resolved(evaluation.evaluated_at), monitor_change=None)
    mark = mark_of(evaluation, cause, alert=True)
    return decision.recording(TransitionKind.RESOLVED, after, mark).with_evidence(EvidenceRole.RESOLVED)
