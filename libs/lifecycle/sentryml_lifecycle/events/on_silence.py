"""What silence does to a model's incident, after what the same evaluation's PSI does. Part of `state_machine`.

Silence opens a warning, reopens the last incident, or makes a live one worse; it never escalates. An incident that it
alone has opened resolves when predictions come again, at once. One of drift stays as it is: it does not resolve while
the model is silent, and goes on afterwards. Excluded intervals neither begin nor end by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sentryml_common.contracts.evaluation import ActivityEvaluation, Evaluation
from sentryml_common.contracts.transition import Cause, Severity, TransitionKind
from sentryml_lifecycle.decision import Decision, Mark
from sentryml_lifecycle.silence import Silence, SilenceChange, silence_of
from sentryml_lifecycle.snapshot import EvidenceRole, Incident, Snapshot
from sentryml_lifecycle.worsening import Notified

Open = Callable[[Decision, Evaluation], Decision]
"""Opens or reopens an incident."""


def with_silence(decision: Decision, evaluation: Evaluation, open_or_reopen: Open) -> Decision:
    """A decision about an evaluation's PSI, with what its activity adds."""
    seen, activity = decision.snapshot, evaluation.activity
    if not seen.settings.silence or activity is None:
        return decision
    match seen.silence.change(activity):
        case SilenceChange.BEGINS:
            return _begun(decision, evaluation, activity, open_or_reopen)
        case SilenceChange.ENDS:
            return _ended(decision, evaluation)
        case None:
            return decision


def without_silence(snapshot: Snapshot) -> Snapshot:
    """A model whose silence is not watched any more."""
    return replace(snapshot, silence=Silence())


def silence_mark(evaluation: Evaluation, cause: Cause, *, alert: bool) -> Mark:
    """The mark of a step by silence: the bins say nothing of it."""
    return Mark(at=evaluation.evaluated_at, cause=cause, alert=alert, evaluation_id=evaluation.evaluation_id)


def _begun(decision: Decision, evaluation: Evaluation, activity: ActivityEvaluation, open_or_reopen: Open) -> Decision:
    silent = replace(decision, snapshot=replace(decision.snapshot, silence=silence_of(activity)))
    incident = decision.snapshot.incident
    if incident is None or not incident.live:
        return open_or_reopen(silent, evaluation)
    mark = silence_mark(evaluation, Cause.NO_PREDICTIONS, alert=True)
    return silent.recording(TransitionKind.WORSENED, incident.unseen(), mark).with_evidence(EvidenceRole.WORSENED)


def _ended(decision: Decision, evaluation: Evaluation) -> Decision:
    back = replace(decision, snapshot=without_silence(decision.snapshot))
    incident = decision.snapshot.incident
    if incident is None or not incident.live:
        return back
    if not incident.no_predictions:
        mark = silence_mark(evaluation, Cause.PREDICTIONS_ARE_BACK, alert=False)
        return back.recording(TransitionKind.EVALUATION_RESUMED, incident, mark)
    after = incident.resolved(evaluation.evaluated_at)
    mark = silence_mark(evaluation, Cause.PREDICTIONS_ARE_BACK, alert=True)
    return back.recording(TransitionKind.RESOLVED, after, mark).with_evidence(EvidenceRole.RESOLVED)


def reopened_by_silence(decision: Decision, evaluation: Evaluation, incident: Incident) -> Decision:
    """The last incident again, now about silence alone."""
    after = replace(incident.reopened_once_more(), severity=Severity.WARN, no_predictions=True)
    notified = replace(decision, snapshot=replace(decision.snapshot, notified=Notified()))
    mark = silence_mark(evaluation, Cause.NO_PREDICTIONS, alert=True)
    return notified.recording(TransitionKind.REOPENED, after, mark).with_evidence(EvidenceRole.REOPENED)
