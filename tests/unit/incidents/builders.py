"""Builders with defaults: a test names only what it is about."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.delivery import Attempt, Delivery
from sentryml_common.contracts.evaluation import (
    RANK,
    ActivityEvaluation,
    Bin,
    CategoryBin,
    Evaluation,
    InsufficientReason,
    Level,
    NullBin,
    RangeBin,
    Signal,
    SignalEvaluation,
    SlowDrift,
    Window,
    level_of,
)
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.reference import Reference, ReferenceSource
from sentryml_common.contracts.transition import Actor, ActorType, TransitionText
from sentryml_lifecycle.decision import Decision
from sentryml_lifecycle.events.on_action import Action
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Asked, Evaluated, Event, MonitorChanged, ReferenceChanged, Ticked, decide
from sentryml_statistics.histograms.pane_counts import PaneCounts

IDS = UUID("11111111-2222-5333-8444-555555555555")
MONDAY = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
MODEL = "flights-delay"

NEWEST_REVISION = 1_000_000
"""No normal time is ever newer."""

ANA = Actor(type=ActorType.USER, id="ana", name="Ana")
BEN = Actor(type=ActorType.USER, id="ben", name="Ben")

PSI_OF = {"ok": 0.02, "hold": 0.09, "warn": 0.15, "critical": 0.5}
LEVEL_OF = {"ok": Level.OK, "hold": Level.OK, "warn": Level.WARN, "critical": Level.CRITICAL}

BINS: tuple[Bin, ...] = (
    RangeBin(lower=None, upper=0.03, baseline_share=0.1, current_share=0.04, contribution=0.055),
    RangeBin(lower=0.03, upper=0.92, baseline_share=0.86, current_share=0.75, contribution=0.015),
    RangeBin(lower=0.92, upper=None, baseline_share=0.04, current_share=0.19, contribution=0.234),
    NullBin(baseline_share=0.0001, current_share=0.02, contribution=0.1),
)


REFERENCE = uuid5(IDS, "reference")


def at(minutes: float) -> datetime:
    """A moment some minutes into the story."""
    return MONDAY + timedelta(minutes=minutes)


def a_signal(
    grade: str = "ok", *, psi: float | None = None, signal: Signal = Signal.SCORE, bins: tuple[Bin, ...] = BINS
) -> SignalEvaluation:
    """One signal that was found `grade` (ok, hold, warn, critical)."""
    return SignalEvaluation(
        signal=signal,
        level=LEVEL_OF[grade],
        psi=PSI_OF[grade] if psi is None else psi,
        baseline_count=25_981,
        current_count=2_786,
        noise_floor=0.0071,
        warn_at=0.1,
        critical_at=0.2,
        p_value=1e-31,
        overlap=0.71,
        bins=bins,
    )


def an_evaluation(
    grade: str = "ok",
    when: datetime = MONDAY,
    *,
    psi: float | None = None,
    model_id: str = MODEL,
    version: int = 1,
    revision: int = NEWEST_REVISION,
    bins: tuple[Bin, ...] = BINS,
) -> Evaluation:
    """An evaluation that says `grade`: ok, hold, warn, critical or insufficient; of the newest revision of normal time
    unless one is given."""
    blind = grade == "insufficient"
    day, week = timedelta(days=1), timedelta(days=7)
    return Evaluation(
        evaluation_id=uuid5(IDS, f"{model_id}/{version}/{revision}/{when.isoformat()}"),
        model_id=model_id,
        monitor_version=version,
        normal_time_revision=revision,
        evaluated_at=when,
        level=Level.INSUFFICIENT_DATA if blind else LEVEL_OF[grade],
        reason=InsufficientReason.NO_DATA if blind else None,
        baseline=Window(start=when - day - week, end=when - day, coverage=1.0),
        current=Window(start=when - day, end=when, coverage=1.0),
        signals=() if blind else (a_signal(grade, psi=psi, bins=bins),),
    )


def slowly(evaluation: Evaluation, grade: str, reference_id: UUID = REFERENCE) -> Evaluation:
    """The evaluation with a comparison with a reference, which is ok, hold or warn."""
    signal = a_signal(grade).model_copy(update={"critical_at": None})
    slow = SlowDrift(reference_id=reference_id, level=LEVEL_OF[grade], signals=(signal,))
    return evaluation.model_copy(update={"slow_drift": slow})


def hearing(evaluation: Evaluation, level: str, last_minute: float, **more: object) -> Evaluation:
    """An evaluation whose activity is at a level, with the last prediction at a minute."""
    values = {
        "level": Level(level),
        "last_received": at(last_minute),
        "read_until": evaluation.evaluated_at,
        "period_seconds": 7 * 86_400,
        "usual_per_hour": 1003.0,
    }
    activity = ActivityEvaluation.model_validate(values | more)
    return evaluation.model_copy(update={"activity": activity})


def measured(evaluation: Evaluation, **psi: float) -> Evaluation:
    """The evaluation with these signals, each at the level of its PSI."""
    levels = {Signal(name): level_of(each, 0.1, 0.2) for name, each in psi.items()}
    signals = tuple(a_signal(psi=psi[name], signal=name).model_copy(update={"level": levels[name]}) for name in levels)
    worst = max(levels.values(), key=RANK.__getitem__)
    return evaluation.model_copy(update={"signals": signals, "level": worst})


def measured_slowly(evaluation: Evaluation, reference_id: UUID = REFERENCE, **psi: float) -> Evaluation:
    """The evaluation with a comparison with a reference, of these signals."""
    signals = tuple(
        a_signal("warn" if each >= 0.1 else "ok", psi=each, signal=Signal(name)).model_copy(
            update={"critical_at": None}
        )
        for name, each in psi.items()
    )
    level = max((each.level for each in signals), key=RANK.__getitem__)
    slow = SlowDrift(reference_id=reference_id, level=level, signals=signals)
    return evaluation.model_copy(update={"slow_drift": slow})


def segmented(evaluation: Evaluation, **psi: float | None) -> Evaluation:
    """The evaluation with the score of these segments, each at the level of its PSI; None: it has too few events."""
    segments = tuple(_of_segment(name, each) for name, each in psi.items())
    levels = (evaluation.level, *(each.level for each in segments if each.reason is None))
    return evaluation.model_copy(update={"segments": segments, "level": max(levels, key=RANK.__getitem__)})


def _of_segment(name: str, psi: float | None) -> SignalEvaluation:
    if psi is None:
        too_few = {"level": Level.INSUFFICIENT_DATA, "reason": InsufficientReason.TOO_FEW_SAMPLES, "bins": ()}
        nothing = dict.fromkeys(("psi", "noise_floor", "warn_at", "critical_at", "p_value", "overlap"))
        return a_signal().model_copy(update={"segment": name, **too_few, **nothing})
    return a_signal(psi=psi).model_copy(update={"segment": name, "level": level_of(psi, 0.1, 0.2)})


def proposing(evaluation: Evaluation, reference_id: UUID = REFERENCE) -> Evaluation:
    """The evaluation with what is to become the model's reference."""
    counts = PaneCounts.of(["late", "on time"] * 30, [0.9, 0.1] * 30)
    reference = Reference(
        reference_id=reference_id,
        model_id=evaluation.model_id,
        source=ReferenceSource.HISTORY,
        made_at=evaluation.evaluated_at,
        start=evaluation.baseline.start,
        end=evaluation.current.end,
        events=counts.total,
        counts=b64encode(counts.pack()).decode(),
    )
    return evaluation.model_copy(update={"new_reference": reference})


def a_range(
    lower: float | None, upper: float | None, before: float = 0.04, now: float = 0.19, contribution: float = 0.2
) -> RangeBin:
    """One bin of numbers."""
    return RangeBin(lower=lower, upper=upper, baseline_share=before, current_share=now, contribution=contribution)


def a_categorical_bin(value: str, baseline_share: float, current_share: float) -> CategoryBin:
    """One category's bin."""
    return CategoryBin(value=value, baseline_share=baseline_share, current_share=current_share, contribution=0.3)


def an_activity(model_id: str = MODEL, when: datetime = MONDAY) -> Activity:
    """A model that was seen for three days."""
    return Activity(
        model_id=model_id,
        at=when,
        first_seen=when - timedelta(days=3),
        last_seen=when - timedelta(seconds=1),
        fine_pane_seconds=60,
        fine_panes=(),
        coarse_pane_seconds=3600,
        coarse_panes=(),
        late=0,
        future=0,
        signals=(),
        recent=(),
    )


SENT = Attempt(
    at=MONDAY + timedelta(seconds=1.2), outcome="delivered", reason="ok", text="Accepted by Slack.", http_status=200
)


def a_delivery(state: str = "delivered", **changes: object) -> Delivery:
    """An alert about the first step of the first incident, on its way to Slack."""
    done, unheard = state == "delivered", state == "no_route"
    message = {
        "delivery_id": uuid5(IDS, "delivery"),
        "revision": 2,
        "transition_id": uuid5(IDS, "transition"),
        "incident_id": uuid5(IDS, "incident"),
        "model_id": MODEL,
        "sequence": 1,
        "kind": "opened",
        "happened_at": MONDAY,
        "channel": None if unheard else "slack",
        "channel_kind": None if unheard else "slack_webhook",
        "route": None if unheard else "slack",
        "state": state,
        "parked_because": {"parked": "channel_broken", "not_sent": "not_needed"}.get(state),
        "due_at": None if unheard else SENT.at,
        "text": SENT.text if done else None,
        "possibly_repeated": False,
        "attempts": 1 if done else 0,
        "latest_attempts": (SENT,) if done else (),
        "created_at": MONDAY,
        "delivered_at": SENT.at if done else None,
        "latency_seconds": 1.2 if done else None,
        "changed_at": SENT.at,
    }
    return Delivery.model_validate(message | changes)


def quick(**changes: object) -> MonitorSettings:
    """A monitor that confirms everything at once."""
    at_once = {
        "confirm_warn": 1,
        "confirm_critical": 1,
        "confirm_deescalate": 1,
        "confirm_resolve": 1,
        "resolve_after_seconds": 0,
        "reopen_seconds": 3600,
        "latch_seconds": 86_400,
    }
    return MonitorSettings.model_validate(at_once | changes)


@dataclass
class Story:
    """A model's life, one event a minute; remembers every decision."""

    settings: MonitorSettings = field(default_factory=quick)
    model_id: str = MODEL
    minute: float = 0
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.snapshot = Snapshot(model_id=self.model_id, monitor_version=1, settings=self.settings)

    @property
    def text(self) -> TransitionText:
        """What the step says that was taken last."""
        return self.decisions[-1].transitions[-1].text

    def sees(self, *grades: str, psi: float | None = None) -> Decision:
        """Evaluations, a minute apart."""
        for grade in grades:
            self.minute += 1
            self._take(Evaluated(self._evaluation(grade, psi)))
        return self.decisions[-1]

    def sees_slowly(self, *grades: str, baseline: str = "ok") -> Decision:
        """Evaluations that also compare with the reference."""
        for grade in grades:
            self.minute += 1
            self.takes(slowly(self._evaluation(baseline), grade))
        return self.decisions[-1]

    def hears(self, level: str, last_minute: float, grade: str = "ok") -> Decision:
        """An evaluation with that activity."""
        self.minute += 1
        return self.takes(hearing(self._evaluation(grade), level, last_minute))

    def measures(self, **psi: float) -> Decision:
        """An evaluation of these signals with these PSI."""
        self.minute += 1
        return self.takes(measured(self._evaluation("ok"), **psi))

    def measures_segments(self, score: float = 0.02, **psi: float | None) -> Decision:
        """An evaluation of the score, of all predictions and of these segments, with these PSI."""
        self.minute += 1
        return self.takes(segmented(measured(self._evaluation("ok"), score=score), **psi))

    def measures_slowly(self, **psi: float) -> Decision:
        """An evaluation at ok that compares these signals with the reference."""
        self.minute += 1
        return self.takes(measured_slowly(self._evaluation("ok"), **psi))

    def has_a_reference(self) -> None:
        """An evaluation proposes one."""
        self.minute += 1
        self.takes(proposing(self._evaluation("ok")))

    def takes(self, evaluation: Evaluation) -> Decision:
        """One evaluation, as it is."""
        return self._take(Evaluated(evaluation))

    def asks(self, action: Action, actor: Actor = ANA, note: str | None = None) -> Decision:
        """Somebody asks for something."""
        self.minute += 1
        return self._take(Asked(action, actor, note))

    def changes_monitor(self, **changes: object) -> Decision:
        """Somebody changes the monitor."""
        self.minute += 1
        settings = MonitorSettings.model_validate(self.snapshot.settings.model_dump() | changes)
        return self._take(MonitorChanged(settings, self.snapshot.monitor_version + 1, ANA))

    def changes_reference(self, reference_id: UUID | None) -> Decision:
        """Somebody replaces the reference, or has it made again."""
        self.minute += 1
        return self._take(ReferenceChanged(reference_id, ANA))

    def waits(self, minutes: float) -> Decision:
        """Time passes."""
        self.minute += minutes
        return self._take(Ticked())

    def _evaluation(self, grade: str, psi: float | None = None) -> Evaluation:
        version = self.snapshot.monitor_version
        return an_evaluation(grade, at(self.minute), psi=psi, model_id=self.model_id, version=version)

    def _take(self, event: Event) -> Decision:
        decision = decide(self.snapshot, event, at(self.minute))
        self.snapshot = decision.snapshot
        self.decisions.append(decision)
        return decision


def with_reference(**settings: object) -> Story:
    """A model that has a reference."""
    story = Story(quick(**settings))
    story.has_a_reference()
    return story


def said(decision: Decision) -> str:
    """A decision in short: kinds in order, `!` for those that alert; `applied` when it only counted."""
    steps = " ".join(f"{step.kind}{'!' if step.alert else ''}" for step in decision.transitions)
    return steps or str(decision.outcome)


def stands(snapshot: Snapshot) -> str:
    """The state of a model, in short: `open/warn`, or `-` when there was never an incident."""
    incident = snapshot.incident
    return f"{incident.state}/{incident.severity}" if incident else "-"
