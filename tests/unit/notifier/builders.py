"""Builders of transitions and stories, so that a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, RangeBin, Signal, Slicing
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.transition import (
    SYSTEM,
    Actor,
    ActorType,
    Cause,
    Marked,
    Severity,
    SignalWhy,
    SliceWhy,
    Standing,
    State,
    Transition,
    TransitionKind,
    TransitionText,
)
from sentryml_lifecycle.snapshot import LIVE, Incident, Snapshot
from sentryml_lifecycle.text.psi_explanation import explain
from sentryml_lifecycle.text.step_text import text_of
from sentryml_lifecycle.worsening import Comparison, Finding, Notified, Worse

IDS = UUID("00000000-0000-5000-8000-000000000001")
NIGHT = datetime(2026, 11, 23, 2, 15, tzinfo=UTC)
RESOLVED_AT = NIGHT + timedelta(minutes=312)
ADA = Actor(type=ActorType.USER, id="7", name="Ada Lovelace")

K, S, V = TransitionKind, State, Severity
USUAL_CAUSES = {
    K.OPENED: "psi_above_critical",
    K.ESCALATED: "psi_above_critical",
    K.WORSENED: "another_signal",
    K.REOPENED: "psi_above_critical",
    K.DEESCALATED: "psi_below_critical",
    K.RESOLVED: "data_returned_to_normal",
    K.EVALUATION_PAUSED: "no_data",
    K.EVALUATION_RESUMED: "data_are_back",
    K.MONITOR_CHANGED: "thresholds_changed",
}
OPEN_WARN = Standing(state=S.OPEN, severity=V.WARN)
OPEN_CRITICAL = Standing(state=S.OPEN, severity=V.CRITICAL)
SEEN_WARN = Standing(state=S.ACKNOWLEDGED, severity=V.WARN)
RESOLVED_CRITICAL = Standing(state=S.RESOLVED, severity=V.CRITICAL)
CLOSED_CRITICAL = Standing(state=S.CLOSED, severity=V.CRITICAL)


def a_bin(lower: float | None, upper: float | None, before: float, now: float) -> Bin:
    return RangeBin(lower=lower, upper=upper, baseline_share=before, current_share=now, contribution=abs(now - before))


def a_category(value: str, before: float, now: float) -> Bin:
    return CategoryBin(value=value, baseline_share=before, current_share=now, contribution=abs(now - before))


MOVED_BINS: tuple[Bin, ...] = (
    a_bin(0.92, 1.0, 0.041, 0.19),
    a_bin(None, 0.031, 0.1001, 0.0412),
    a_bin(0.5, 0.62, 0.1, 0.052),
)


def score_why(psi: float = 0.574, bins: tuple[Bin, ...] = MOVED_BINS) -> SignalWhy:
    return explain(Signal.SCORE, psi, 0.1, 0.2, bins)


def sliced_why() -> SignalWhy:
    """The score of a new version, as incidents publishes it."""
    version = SliceWhy(
        slicing=Slicing.VERSION,
        value="2.3",
        psi=0.61,
        others_psi=0.02,
        began=NIGHT - timedelta(minutes=12),
        text="version “2.3” began 12 min before; among its predictions PSI 0.61, among the others PSI 0.02",
    )
    return score_why().model_copy(update={"slices": (version,)})


def segment_why() -> SignalWhy:
    """The score of a segment that drifts by itself, as incidents publishes it."""
    others = "segment “eu” drifts, the other 9 do not; all predictions together: PSI 0.02"
    said = SliceWhy(slicing=Slicing.SEGMENT, value="eu", psi=0.61, others_psi=None, began=None, text=others)
    why = explain(Signal.SCORE, 0.61, 0.19, 0.2, MOVED_BINS, segment="eu")
    return why.model_copy(update={"slices": (said,)})


def prediction_why(psi: float = 0.131) -> SignalWhy:
    new = NewBin(baseline_share=0.00002, current_share=0.012, contribution=0.08)
    missing = NullBin(baseline_share=0.002, current_share=0.051, contribution=0.1)
    bins = (a_category("late", 0.18, 0.27), missing, new)
    return explain(Signal.PREDICTION, psi, 0.1, 0.2, bins)


NOTHING_BEFORE = Notified()


def _notified(why: tuple[SignalWhy, ...]) -> Notified:
    """What an alert with these reasons shows, where they are of segments."""
    found = {"comparison": Comparison.BASELINE, "severity": V.CRITICAL, "warn_at": 0.1, "critical_at": 0.2}
    of_segments = [each for each in why if each.segment is not None]
    return Notified(
        findings=tuple(
            Finding(signal=each.signal, segment=each.segment, psi=each.psi or 0.0, **found) for each in of_segments
        )  # type: ignore[arg-type]
    )


PREDICTION_TOO = Worse(
    Cause.ANOTHER_SIGNAL,
    Finding(
        signal=Signal.PREDICTION,
        comparison=Comparison.BASELINE,
        severity=V.WARN,
        psi=0.131,
        warn_at=0.1,
        critical_at=0.2,
    ),
    None,
)


def a_text(
    kind: TransitionKind,
    cause: Cause,
    actor: Actor,
    at: datetime,
    from_: Standing | None,
    to: Standing,
    model_id: str,
    notified: Notified = NOTHING_BEFORE,
) -> TransitionText:
    """The text that incidents makes for such a step, under the default monitor; Ada is who acknowledges."""
    by_word = cause in (Cause.NEW_NORMAL, Cause.WAS_NORMAL)
    closed_live = cause in (Cause.REQUESTED, Cause.WAS_NORMAL) and from_ is not None and from_.state in LIVE
    after = Incident(
        incident_id=uuid5(IDS, model_id),
        model_id=model_id,
        state=to.state,
        severity=to.severity,
        opened_at=NIGHT,
        psi=0.3,
        peak_psi=0.3,
        peak_at=NIGHT,
        acknowledged_by=(ADA,) if to.state is S.ACKNOWLEDGED else (),
        resolved_at=(at if kind is K.RESOLVED else RESOLVED_AT) if to.state is S.RESOLVED else None,
        closed_at=at if to.state is S.CLOSED else None,
        latched_until=at + timedelta(days=1) if to.state is S.CLOSED and closed_live else None,
        undo_until=at + timedelta(days=7) if by_word else None,
    )
    before = None
    if from_ is not None:
        seen_by = (ADA,) if from_.state is S.ACKNOWLEDGED else ()
        before = replace(after, state=from_.state, severity=from_.severity, acknowledged_by=seen_by)
    settings = MonitorSettings(enabled=cause is not Cause.MONITOR_DISABLED)
    paused = at if kind is K.EVALUATION_PAUSED else None
    snapshot = Snapshot(model_id, 3, settings, after, notified=notified, evaluation_paused_since=paused)
    return text_of(kind, cause, actor, at, before, snapshot, (PREDICTION_TOO,) if kind is K.WORSENED else ())


def a_transition(
    kind: TransitionKind = K.OPENED,
    *,
    sequence: int = 1,
    minutes: float = 0,
    from_: Standing | None = None,
    to: Standing = OPEN_CRITICAL,
    actor: Actor = SYSTEM,
    cause: str | None = None,
    alert: bool = True,
    note: str | None = None,
    why: tuple[SignalWhy, ...] = (),
    model_id: str = "flights-delay",
    incident: int = 42,
    at: datetime = NIGHT,
    incident_url: str | None = None,
    text: TransitionText | None = None,
    markers: tuple[Marked, ...] = (),
) -> Transition:
    """A transition of incident `incident`, `minutes` after `at`."""
    cause = cause or USUAL_CAUSES.get(kind, "requested")
    incident_id, happened_at = uuid5(IDS, f"incident/{incident}"), at + timedelta(minutes=minutes)
    return Transition.model_validate(
        {
            "transition_id": uuid5(incident_id, str(sequence)),
            "incident_id": incident_id,
            "incident_number": incident,
            "model_id": model_id,
            "sequence": sequence,
            "kind": kind,
            "at": happened_at,
            "from": from_,
            "to": to,
            "actor": actor,
            "cause": cause,
            "alert": alert,
            "note": note,
            "evaluation_id": None,
            "why": why,
            "markers": markers,
            "text": text or a_text(kind, Cause(cause), actor, happened_at, from_, to, model_id, _notified(why)),
            "incident_url": incident_url or f"https://sentryml.example/incidents/{incident}",
        }
    )


def opened_warn(**changes: object) -> Transition:
    defaults = {"to": OPEN_WARN, "cause": "psi_above_warn", "why": (score_why(0.142),)}
    return a_transition(K.OPENED, **{**defaults, **changes})  # type: ignore[arg-type]


def opened_critical(**changes: object) -> Transition:
    defaults = {"why": (score_why(), prediction_why())}
    return a_transition(K.OPENED, **{**defaults, **changes})  # type: ignore[arg-type]


def acknowledged(
    sequence: int = 2,
    minutes: float = 9,
    from_: Standing = OPEN_WARN,
    model_id: str = "flights-delay",
    incident: int = 42,
) -> Transition:
    to = Standing(state=S.ACKNOWLEDGED, severity=from_.severity)
    return a_transition(
        K.ACKNOWLEDGED,
        sequence=sequence,
        minutes=minutes,
        from_=from_,
        to=to,
        actor=ADA,
        cause="requested",
        alert=False,
        model_id=model_id,
        incident=incident,
    )


def escalated(sequence: int = 2, minutes: float = 25, from_: Standing = OPEN_WARN, **changes: object) -> Transition:
    defaults = {"to": OPEN_CRITICAL, "why": (score_why(0.31),)}
    return a_transition(
        K.ESCALATED, sequence=sequence, minutes=minutes, from_=from_, **{**defaults, **changes}  # type: ignore[arg-type]
    )  # fmt: skip


def worsened(sequence: int = 2, minutes: float = 25, from_: Standing = OPEN_WARN, **changes: object) -> Transition:
    to = Standing(state=S.OPEN, severity=from_.severity)
    defaults = {"to": to, "why": (prediction_why(), score_why(0.142))}
    return a_transition(
        K.WORSENED, sequence=sequence, minutes=minutes, from_=from_, **{**defaults, **changes}  # type: ignore[arg-type]
    )  # fmt: skip


def resolved(sequence: int = 2, minutes: float = 312, from_: Standing = OPEN_CRITICAL, **changes: object) -> Transition:
    to = Standing(state=S.RESOLVED, severity=from_.severity)
    defaults = {"to": to, "cause": "data_returned_to_normal", "why": (score_why(0.043),)}
    return a_transition(
        K.RESOLVED, sequence=sequence, minutes=minutes, from_=from_, **{**defaults, **changes}  # type: ignore[arg-type]
    )  # fmt: skip


def reopened(sequence: int = 3, minutes: float = 371, **changes: object) -> Transition:
    defaults = {"from_": RESOLVED_CRITICAL, "to": OPEN_WARN, "cause": "psi_above_warn", "why": (score_why(0.155),)}
    return a_transition(K.REOPENED, sequence=sequence, minutes=minutes, **{**defaults, **changes})  # type: ignore[arg-type]
