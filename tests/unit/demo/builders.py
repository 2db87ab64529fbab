"""Transitions, evaluations and messages with defaults, so that a test sets only what matters for it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid5

from sentryml_common.contracts.delivery import Delivery, DeliveryState
from sentryml_common.contracts.evaluation import Evaluation, Level, Signal, SignalEvaluation, Window
from sentryml_common.contracts.transition import (
    SYSTEM,
    Cause,
    Severity,
    Standing,
    State,
    Transition,
    TransitionKind,
    TransitionText,
)
from sentryml_local.demo.time_scale import SCORE_MODEL
from sentryml_local.demo.verdict import SlackMessage

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
NAMESPACE = UUID("00000000-0000-0000-0000-000000000001")
URL = "http://127.0.0.1:8701/incidents"
STATE_AFTER = {TransitionKind.RESOLVED: State.RESOLVED, TransitionKind.CLOSED: State.CLOSED}
SENTENCES = {
    TransitionKind.OPENED: "The predictions of flights-delay no longer look like the baseline.",
    TransitionKind.ESCALATED: "The drift of flights-delay got worse.",
    TransitionKind.REOPENED: "The drift of flights-delay is back.",
    TransitionKind.RESOLVED: "The predictions of flights-delay look like the baseline again.",
}


def a_transition(
    kind: TransitionKind,
    *,
    number: int = 1,
    sequence: int = 1,
    severity: Severity = Severity.CRITICAL,
    alert: bool = True,
    at: datetime = NOON,
    cause: Cause = Cause.PSI_ABOVE_CRITICAL,
) -> Transition:
    return Transition(
        transition_id=uuid5(NAMESPACE, f"{number}/{sequence}"),
        incident_id=uuid5(NAMESPACE, str(number)),
        incident_number=number,
        model_id=SCORE_MODEL,
        sequence=sequence,
        kind=kind,
        at=at,
        from_=None,
        to=Standing(state=STATE_AFTER.get(kind, State.OPEN), severity=severity),
        actor=SYSTEM,
        cause=cause,
        alert=alert,
        note=None,
        evaluation_id=None,
        why=(),
        text=TransitionText(
            title=f"{kind.value.capitalize()} · {SCORE_MODEL}",
            headline=SENTENCES.get(kind, f"{kind.value}."),
            step=kind.value.capitalize(),
            next=(),
        ),
        incident_url=f"{URL}/{number}",
    )


def an_incident(*kinds: TransitionKind, number: int = 1, severity: Severity = Severity.CRITICAL) -> list[Transition]:
    """The steps of one incident, all of them alerts."""
    return [
        a_transition(kind, number=number, sequence=sequence, severity=severity)
        for sequence, kind in enumerate(kinds, start=1)
    ]


def a_message(step: Transition) -> SlackMessage:
    """What Slack shows of a transition."""
    number = step.incident_number
    text = f"{step.text.title}\n{step.text.headline}\nOpen incident #{number}: {URL}"
    return SlackMessage(step.sequence, NOON, f"{step.text.title}. Incident #{number}", text)


def a_delivery(step: Transition, state: DeliveryState = DeliveryState.DELIVERED, *, grouped: bool = False) -> Delivery:
    """What becomes of a transition's alert."""
    delivered = state is DeliveryState.DELIVERED
    return Delivery(
        delivery_id=uuid5(NAMESPACE, f"delivery/{step.transition_id}"),
        revision=1,
        transition_id=step.transition_id,
        incident_id=step.incident_id,
        model_id=step.model_id,
        sequence=step.sequence,
        kind=step.kind,
        happened_at=step.at,
        channel="slack",
        channel_kind="slack_webhook",
        route="slack",
        state=state,
        parked_because="not_needed" if state is DeliveryState.NOT_SENT else None,
        due_at=None,
        text=None,
        possibly_repeated=False,
        group_id=uuid5(NAMESPACE, "group") if grouped else None,
        attempts=0,
        latest_attempts=(),
        created_at=step.at,
        delivered_at=step.at if delivered else None,
        latency_seconds=0.0 if delivered else None,
        changed_at=step.at,
    )


def an_evaluation(
    psi: float | None, *, at: datetime = NOON, model_id: str = SCORE_MODEL, level: Level = Level.OK, version: int = 2
) -> Evaluation:
    signal = SignalEvaluation(
        signal=Signal.SCORE,
        level=level,
        psi=psi,
        baseline_count=26_000,
        current_count=2_800,
        noise_floor=0.02,
        warn_at=0.1,
        critical_at=0.2,
        p_value=0.5,
        overlap=0.9,
        bins=(),
    )
    return Evaluation(
        evaluation_id=uuid5(NAMESPACE, f"{model_id}|{version}|{at.isoformat()}"),
        model_id=model_id,
        monitor_version=version,
        evaluated_at=at,
        level=level,
        reason=None,
        baseline=Window(start=at, end=at, coverage=1.0),
        current=Window(start=at, end=at, coverage=1.0),
        signals=(signal,),
    )
